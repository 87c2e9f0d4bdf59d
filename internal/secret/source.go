package secret

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"mtlsplan/internal/config"
)

// readLimit bounds what a file or a program may give: far above MaxLen, so
// that a source which holds no passphrase is reported and not read for ever.
const readLimit = 64 << 10

var errTooLong = errors.New("too long")

// Read fetches the secret from a variable, a file or a program's standard
// output. Of a file and of a program one trailing line end is dropped, a
// carriage return with it. A program runs without a shell, in r.Dir, without
// standard input, for five minutes at most; it gets the environment but for the
// variables in hide and those that begin with MTLSPLAN_, and nothing beside its
// own words as arguments; what it says on standard error is discarded, because
// it may hold the secret. When ctx ends, so do the program and what it started;
// at a terminal, where it may have to ask for a PIN, the program alone.
//
// The error names the source and what to do, and never what was read.
// Generated secrets have nothing to read from and are errors. Whether the
// secret can serve as a passphrase is told by [Check].
func (r Ref) Read(ctx context.Context, lookupEnv func(string) (string, bool), hide []string) (Value, error) {
	if err := ctx.Err(); err != nil {
		return Value{}, fmt.Errorf("%s: %w", r, err)
	}
	var b []byte
	var err error
	switch r.Kind {
	case config.FromEnv:
		b, err = r.readEnv(lookupEnv)
	case config.FromFile:
		b, err = r.readFile(ctx)
	case config.FromCommand:
		b, err = r.readCommand(ctx, hide, commandTime, onTerminal())
	default:
		return Value{}, fmt.Errorf("%s: not a source that can be read", r)
	}
	switch {
	case errors.Is(err, errTooLong):
		return Value{}, fmt.Errorf("%s gives more than %d bytes, which is no passphrase: name the right source", r, readLimit)
	case err != nil:
		return Value{}, err
	case len(b) == 0:
		return Value{}, fmt.Errorf("%s is empty: put the passphrase there, or name another source", r)
	}
	return New(b), nil
}

func (r Ref) readEnv(lookupEnv func(string) (string, bool)) ([]byte, error) {
	s, ok := lookupEnv(r.Env)
	if !ok {
		return nil, fmt.Errorf("%s is not set: set it, or name another source", r)
	}
	return []byte(s), nil
}

// readFile gives up waiting when ctx ends: the file may be a named pipe that
// nobody writes to.
func (r Ref) readFile(ctx context.Context) ([]byte, error) {
	type result struct {
		b   []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		b, err := readBounded(r.File)
		done <- result{b, err}
	}()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", r, ctx.Err())
	case got := <-done:
		if errors.Is(got.err, errTooLong) {
			return nil, got.err
		}
		if got.err != nil {
			return nil, fmt.Errorf("%s: %w: %s", r, cause(got.err), remedy(got.err))
		}
		return dropLineEnd(got.b), nil
	}
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, readLimit+1))
	if err == nil && len(b) > readLimit {
		err = errTooLong
	}
	return b, err
}

// cause strips the path from an error of the os package, since the source's
// description has it already.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

func remedy(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "write the passphrase into it, or name another source"
	case errors.Is(err, fs.ErrPermission):
		return "let the user that runs mtlsplan read it"
	}
	return "name a file that holds the passphrase"
}

func dropLineEnd(b []byte) []byte {
	if rest, ok := bytes.CutSuffix(b, []byte("\n")); ok {
		b = bytes.TrimSuffix(rest, []byte("\r"))
	}
	return b
}

// Check reports why v cannot serve as a passphrase: it must have 1 to [MaxLen]
// bytes of printable ASCII, which is what every reader of keys and PKCS #12
// files opens. The error says what kind of character is wrong and roughly
// where, never which.
func Check(v Value) error {
	switch n := len(v.bytes()); {
	case n == 0:
		return errors.New("the passphrase is empty: it needs 1 to 1023 characters")
	case n > MaxLen:
		return errors.New("the passphrase is longer than 1023 bytes, which OpenSSL cannot read: shorten it")
	}
	for i, c := range v.bytes() {
		if c >= 0x20 && c <= 0x7e {
			continue
		}
		kind := "a control character"
		switch {
		case c == '\n' || c == '\r':
			kind = "a line end"
		case c >= 0x80:
			kind = "a character outside ASCII"
		}
		verb := "contains"
		switch i {
		case 0:
			verb = "begins with"
		case len(v.bytes()) - 1:
			verb = "ends with"
		}
		return fmt.Errorf("the passphrase %s %s, which not every program reads alike: use letters, digits, blanks and punctuation of ASCII only", verb, kind)
	}
	return nil
}

// alphabet has 32 characters of which no two look alike: no l, o, 0 or 1.
const alphabet = "abcdefghijkmnpqrstuvwxyz23456789"

const (
	groups   = 7
	groupLen = 4
)

// IsRandom reports whether a passphrase is one that [Random] may have made.
func (v Value) IsRandom() bool {
	s := v.Reveal()
	if len(s) != groups*(groupLen+1)-1 {
		return false
	}
	for i := range len(s) {
		if dash := i%(groupLen+1) == groupLen; dash != (s[i] == '-') || !dash && !slices.Contains([]byte(alphabet), s[i]) {
			return false
		}
	}
	return true
}

// Random makes a passphrase of 140 random bits in seven groups of four
// characters with dashes between them, which a person can type.
func Random() Value {
	var raw [groups * groupLen]byte
	_, _ = rand.Read(raw[:]) // never fails: see crypto/rand
	out := make([]byte, 0, groups*(groupLen+1)-1)
	for i, r := range raw {
		if i > 0 && i%groupLen == 0 {
			out = append(out, '-')
		}
		out = append(out, alphabet[int(r)%len(alphabet)])
	}
	return New(out)
}
