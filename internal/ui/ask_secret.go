package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// ErrNoTerminal says that nobody can be asked.
var ErrNoTerminal = errors.New("there is no terminal to ask at")

// AskSecret asks a person for a secret, which is not shown, and returns what was typed.
// in must be a terminal, else the error is [ErrNoTerminal]. When ctx ends, the terminal
// is as it was before.
func AskSecret(ctx context.Context, in io.Reader, out io.Writer, prompt string) ([]byte, error) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, ErrNoTerminal
	}
	before, err := term.GetState(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	fmt.Fprint(out, prompt+" ")
	type answer struct {
		text []byte
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(int(f.Fd()))
		typed <- answer{text, err}
	}()
	select {
	case a := <-typed:
		fmt.Fprintln(out)
		return a.text, a.err
	case <-ctx.Done():
		err := term.Restore(int(f.Fd()), before)
		fmt.Fprintln(out)
		return nil, errors.Join(ctx.Err(), err)
	}
}
