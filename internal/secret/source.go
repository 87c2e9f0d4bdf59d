package secret

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"mtlsplan/internal/config"
	"mtlsplan/internal/input"
)

// readLimit is the limit in bytes for a file or the output of a program. It is far
// above MaxLen: a larger source is a wrong one, and is not read to its end.
const readLimit = 64 << 10

// Read reads the secret from a variable, a file or the standard output of a program.
// From a file and from a program one newline at the end is dropped, with a carriage
// return before it.
//
// A program runs without a shell, in r.Dir, with the arguments in the spec, without
// standard input, for five minutes at most. It gets the environment without the
// variables in hide and without those that begin with MTLSPLAN_. Its standard error
// is discarded, because it may hold the secret. When ctx ends, the program and its
// children are ended; at a terminal, where it may have to ask for a PIN, only the
// program.
//
// The error names the source and the remedy, and never the text that was read. A
// generated secret has no source, and reading it is an error. [Check] decides whether
// the secret can be a passphrase.
func (r Ref) Read(ctx context.Context, lookupEnv func(string) (string, bool), hide []string) (Value, error) {
	return r.read(ctx, lookupEnv, hide, "passphrase")
}

// ErrAbsent is among the errors of [Ref.ReadIdentity] where a variable is not set or
// empty, or a file does not exist.
var ErrAbsent = errors.New("it is not there")

// ReadIdentity is [Ref.Read] for what opens sealed passphrases, and no passphrase itself.
func (r Ref) ReadIdentity(ctx context.Context, lookupEnv func(string) (string, bool), hide []string) (Value, error) {
	if err := r.Absent(lookupEnv); err != nil {
		return Value{}, err
	}
	return r.read(ctx, lookupEnv, hide, "identity")
}

// Absent says that a variable is not set or empty, or that a file does not exist, without
// reading a secret: the error is an [ErrAbsent]. Of a program it says nothing.
func (r Ref) Absent(lookupEnv func(string) (string, bool)) error {
	switch r.Kind {
	case config.FromEnv:
		if s, ok := lookupEnv(r.Env); !ok {
			return absent(r.String() + " is not set")
		} else if s == "" {
			return absent(r.String() + " is empty")
		}
	case config.FromFile:
		if _, err := os.Stat(r.File); errors.Is(err, fs.ErrNotExist) {
			return absent(r.String() + " does not exist")
		}
	}
	return nil
}

type absent string

func (e absent) Error() string        { return string(e) }
func (e absent) Is(target error) bool { return target == ErrAbsent }

func (r Ref) read(ctx context.Context, lookupEnv func(string) (string, bool), hide []string, what string) (Value, error) {
	if err := ctx.Err(); err != nil {
		return Value{}, fmt.Errorf("%s: %w", r, err)
	}
	var b []byte
	var err error
	switch r.Kind {
	case config.FromEnv:
		b, err = r.readEnv(lookupEnv)
	case config.FromFile:
		b, err = r.readFile(ctx, what)
	case config.FromCommand:
		b, err = r.readCommand(ctx, hide)
	default:
		return Value{}, fmt.Errorf("%s: this source cannot be read", r)
	}
	switch {
	case errors.Is(err, input.ErrTooLarge):
		return Value{}, fmt.Errorf("%s gives more than %d bytes, too many for one %s: name another source", r, readLimit, what)
	case err != nil:
		return Value{}, err
	case len(b) == 0:
		return Value{}, fmt.Errorf("%s is empty: put the %s there, or name another source", r, what)
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

func (r Ref) readFile(ctx context.Context, what string) ([]byte, error) {
	b, _, err := input.Read(ctx, r.File, readLimit)
	switch {
	case err == nil:
		return dropLineEnd(b), nil
	case errors.Is(err, input.ErrTooLarge):
		return nil, err
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	return nil, fmt.Errorf("%s: %w: %s", r, err, remedy(err, what))
}

func remedy(err error, what string) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "write the " + what + " into it, or name another source"
	case errors.Is(err, fs.ErrPermission):
		return "make it readable for the user that runs mtlsplan"
	}
	return "name a file that holds the " + what + ", or a program that prints it"
}

func dropLineEnd(b []byte) []byte {
	if rest, ok := bytes.CutSuffix(b, []byte("\n")); ok {
		b = bytes.TrimSuffix(rest, []byte("\r"))
	}
	return b
}

// isUTF16 reports whether every other byte of what a text begins with is zero, as in UTF-16
// without a byte order mark. Its last byte may be gone, dropped as a line end.
func isUTF16(b []byte) bool {
	return len(b) > 3 && (b[0] == 0) != (b[1] == 0) && (b[0] == 0) == (b[2] == 0) && (b[1] == 0) == (b[3] == 0)
}

// Check returns an error if v cannot be a passphrase: it must have 1 to [MaxLen]
// bytes of printable ASCII, which every reader of keys and PKCS #12 files accepts.
// The error names the kind of the wrong character and roughly its place, never the
// character.
func Check(v Value) error {
	switch n := len(v.bytes()); {
	case n == 0:
		return errors.New("the passphrase is empty: it needs 1 to 1023 characters")
	case n > MaxLen:
		return errors.New("the passphrase is longer than 1023 bytes, which OpenSSL cannot read: shorten it")
	}
	switch b := v.bytes(); {
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")), isUTF16(b):
		return errors.New("the passphrase is stored as UTF-16: save it as UTF-8 without a byte order mark")
	case bytes.HasPrefix(b, []byte("\ufeff")):
		return errors.New("the passphrase begins with a byte order mark, which programs read in different ways: save it as UTF-8 without one")
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
		return fmt.Errorf("the passphrase %s %s, which programs read in different ways: use only letters, digits, spaces and punctuation of ASCII", verb, kind)
	}
	return nil
}

// alphabet has 32 characters that cannot be confused: no l, o, 0 or 1.
const alphabet = "abcdefghijkmnpqrstuvwxyz23456789"

const (
	groups   = 7
	groupLen = 4
)

// IsRandom reports whether a passphrase has the form of one by [Random].
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

// Random makes a passphrase of 140 random bits that a person can type: seven groups
// of four characters, with dashes between them.
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
