// Package secret names secrets, reads them from where they are, and holds
// them so that they cannot be printed by accident.
//
// It promises that no formatting verb, encoder or logger turns a [Value] into
// its text; only [Value.Reveal] does, and a test in cmd/mtlsplan allows that
// method in the packages that encrypt or decrypt and nowhere else. It does not
// promise to wipe memory: Go's garbage collector may copy.
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

// String describes the source for people, without what may be private in a
// program's arguments.
func (r Ref) String() string { return config.Source(r).String() }

// Value is a secret in memory. Its zero value is empty and reports IsZero.
type Value struct {
	// In a function, because fmt cannot call the methods of a Value that is in
	// an unexported field and prints what it holds: an address then. It also
	// keeps == from comparing two of them.
	get func() []byte
}

// New takes over b, which the caller must not use afterwards.
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

// Line takes over the content of a passphrase file: one trailing line end is
// not part of the passphrase.
func Line(b []byte) Value { return New(dropLineEnd(b)) }
