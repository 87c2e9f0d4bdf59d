// Package secret reads secrets from their sources, and holds them so that they
// cannot be printed by accident.
//
// It promises that no formatting verb, encoder or logger turns a [Value] into its
// text. Only [Value.Reveal] does, and a test in cmd/mtlsplan allows that method only
// in the packages that encrypt or decrypt. It does not promise to wipe memory: Go's
// garbage collector may copy.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"

	"mtlsplan/internal/config"
)

// MaxLen is the longest passphrase in bytes. OpenSSL's command line cannot
// read a longer one.
const MaxLen = 1023

// Ref is a [config.Source] that can be read. It never holds a secret, so it may
// be printed, compared and logged.
type Ref config.Source

// String describes the source for people, without the arguments of a program, which
// may be private.
func (r Ref) String() string { return config.Source(r).String() }

// Value is a secret in memory. Its zero value is empty and reports IsZero.
type Value struct {
	// It is a function, because fmt cannot call the methods of a Value in an unexported
	// field and prints its fields instead: of a function, only an address. It also
	// keeps == from comparing two Values.
	get func() []byte
}

// New makes a Value of b, which the caller must not use afterwards.
func New(b []byte) Value { return Value{get: func() []byte { return b }} }

func (v Value) bytes() []byte {
	if v.get == nil {
		return nil
	}
	return v.get()
}

// IsZero reports whether the value holds nothing.
func (v Value) IsZero() bool { return len(v.bytes()) == 0 }

// Reveal returns the secret's text, for a cryptographic library that needs it.
func (v Value) Reveal() string { return string(v.bytes()) }

// Equal compares two secrets in time that depends on their lengths only.
func (v Value) Equal(w Value) bool { return subtle.ConstantTimeCompare(v.bytes(), w.bytes()) == 1 }

const hidden = "(secret)"

func (Value) String() string                 { return hidden }
func (Value) GoString() string               { return hidden }
func (Value) Format(f fmt.State, _ rune)     { _, _ = io.WriteString(f, hidden) }
func (Value) MarshalText() ([]byte, error)   { return []byte(hidden), nil }
func (Value) MarshalJSON() ([]byte, error)   { return []byte(`"` + hidden + `"`), nil }
func (Value) MarshalYAML() (any, error)      { return hidden, nil }
func (Value) LogValue() slog.Value           { return slog.StringValue(hidden) }
func (Value) MarshalBinary() ([]byte, error) { return nil, fmt.Errorf("a secret is never serialized") }

// Line makes a Value of the content of a passphrase file, without one newline at its
// end. The caller must not use b afterwards.
func Line(b []byte) Value { return New(dropLineEnd(b)) }
