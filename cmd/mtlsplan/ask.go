package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
)

// canAsk reports whether a person can read a question and answer it.
func (a *app) canAsk() bool {
	in, isFile := a.stdin.(io.Writer)
	return isFile && ui.IsTerminal(in) && ui.IsTerminal(a.stdout) && !a.documents()
}

// ask asks a person whether a run may revoke what it would. Any answer but yes is an
// error.
func (a *app) ask(ctx context.Context, would *engine.UnagreedError) error {
	ui.AskToRevoke(a.stdout, ui.StyleFor(a.stdout, a.lookupEnv), would)
	answer := make(chan string, 1)
	go func() { // a read from a terminal does not end with ctx
		line, err := bufio.NewReader(a.stdin).ReadString('\n')
		if err != nil { // the end of input is no yes, and no end of the line either
			line = ""
			fmt.Fprintln(a.stdout)
		}
		answer <- line
	}()
	select {
	case <-ctx.Done():
		return plan.Errorf(plan.Interrupted, "interrupted before anything was changed")
	case line := <-answer:
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return nil
		}
	}
	return plan.Errorf(plan.Declined, "nothing was changed, because the answer was not yes; --yes does without the question")
}
