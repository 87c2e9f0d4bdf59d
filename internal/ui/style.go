package ui

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// SGR parameters of ECMA-48.
const (
	bold   = "1"
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// Style is how text looks on one stream. The zero Style is plain.
type Style struct {
	Color bool
	Width int // columns of a terminal; 0 for anything else, where a message is one line for grep
}

// StyleFor colours what goes to a terminal, unless NO_COLOR is set to anything
// (no-color.org) or the terminal calls itself dumb, and breaks its lines at words.
func StyleFor(w io.Writer, lookupEnv func(string) (string, bool)) Style {
	s := Style{Color: Interactive(w, lookupEnv), Width: widthOf(w)}
	if v, ok := lookupEnv("NO_COLOR"); ok && v != "" {
		s.Color = false
	}
	return s
}

// widthOf is the number of columns of the terminal that w ends at, 0 for none.
func widthOf(w io.Writer) int {
	switch w := w.(type) {
	case *Output:
		return widthOf(w.W)
	case *os.File:
		if !term.IsTerminal(int(w.Fd())) {
			return 0
		}
		const least = 40
		if width, _, err := term.GetSize(int(w.Fd())); err == nil && width >= least {
			return width
		}
		return pageWidth
	}
	return 0
}

// wrap breaks a line at its blanks. It begins in the column from, and goes on behind
// the indent. A word that is longer than a line stays whole, so that it can be copied.
func (s Style) wrap(text string, from int, indent string) string {
	if s.Width == 0 || from+utf8.RuneCountInString(text) <= s.Width {
		return text
	}
	var b strings.Builder
	column := from
	for i, word := range strings.Split(text, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > s.Width:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

// Interactive reports whether w ends at a terminal that understands control
// sequences.
func Interactive(w io.Writer, lookupEnv func(string) (string, bool)) bool {
	name, _ := lookupEnv("TERM")
	return name != "dumb" && IsTerminal(w)
}

func (s Style) paint(sgr, text string) string {
	if !s.Color || sgr == "" || text == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// IsTerminal reports whether w ends at a terminal.
func IsTerminal(w io.Writer) bool {
	switch w := w.(type) {
	case *Output:
		return IsTerminal(w.W)
	case *os.File:
		return term.IsTerminal(int(w.Fd()))
	}
	return false
}

// Output remembers the first error of a stream and drops everything after it, so
// that callers need not check and the end of the run can still report it.
type Output struct {
	W   io.Writer
	Err error
}

// Write never fails: it reports the whole of p as written, and keeps the error
// in Err.
func (o *Output) Write(p []byte) (int, error) {
	if o.Err == nil {
		_, o.Err = o.W.Write(p)
	}
	return len(p), nil
}

// Clean makes text harmless to a terminal: control and formatting characters
// (Unicode categories Cc, Cf, Zl, Zp, so also bidirectional overrides) and
// bytes that are no UTF-8 become Go escapes such as \x1b and \u202e. Printable
// text is returned as it is.
func Clean(s string) string { return clean(s, "") }

// cleanBlock is [Clean] for text of several lines: it keeps line ends and tabs.
func cleanBlock(s string) string { return clean(s, "\n\t") }

func clean(s, keep string) string {
	if harmless(s, keep) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsGraphic(r) || strings.ContainsRune(keep, r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
		i += n
	}
	return b.String()
}

func harmless(s, keep string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsGraphic(r) && !strings.ContainsRune(keep, r) {
			return false
		}
	}
	return true
}
