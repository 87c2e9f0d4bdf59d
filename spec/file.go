package spec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"

	"mtlsplan/internal/input"
)

// maxSize is far above what 100,000 users need, in bytes.
const maxSize = 64 << 20

// readFile returns the text of a spec, or the one problem that keeps it from
// being read.
func readFile(ctx context.Context, file string) ([]byte, *hcl.Diagnostic) {
	text, _, err := input.Read(ctx, file, maxSize)
	switch {
	case err == nil:
		return text, nil
	case errors.Is(err, input.ErrDirectory):
		return nil, atFile(file, "Directory instead of a spec", "This is a directory. Name the spec in it, such as "+filepath.Join(file, "mtlsplan.hcl")+".")
	case errors.Is(err, input.ErrNotRegular):
		return nil, atFile(file, "Not a file", "A spec must be a regular file: it is read more than once, and the paths in it are relative to its directory.")
	case errors.Is(err, input.ErrTooLarge):
		return nil, atFile(file, "File too large", fmt.Sprintf("A spec has at most %d MiB. Is this the right file?", maxSize>>20))
	case errors.Is(err, fs.ErrNotExist) && file == "-":
		return nil, atFile(file, "No spec on standard input",
			`A spec is read from a file, because the paths in it are relative to its directory. Name that file. One whose name is "-" is ./-`)
	case errors.Is(err, fs.ErrNotExist):
		return nil, atFile(file, "No such file", "There is no spec here. Name the right file, or create a new one:\nmtlsplan init "+file)
	}
	return nil, atFile(file, "Unreadable file", fmt.Sprintf("The spec cannot be read: %v.", err))
}

func atFile(file, summary, detail string) *hcl.Diagnostic {
	at := placeIn(file, nil, 0)
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at}
}

// notText says where and why a file is not the text that a spec or roster must
// be; detail is "" where it is.
func notText(text []byte, what string) (offset int, detail string) {
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return 0, "This is UTF-16. A " + what + " is UTF-8: save it as UTF-8."
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		return i, "There is a NUL byte here, so this is a binary file. A " + what + " is text."
	}
	if utf8.Valid(text) {
		return 0, ""
	}
	for offset < len(text) {
		r, n := utf8.DecodeRune(text[offset:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		offset += n
	}
	return offset, "There is a byte here that is not UTF-8. A " + what + " is UTF-8 text: save it as UTF-8."
}

// placeIn is the place between two characters of a file.
func placeIn(file string, text []byte, offset int) hcl.Range {
	c := newCursor(text)
	pos := c.pos(min(offset, len(text)))
	return hcl.Range{Filename: file, Start: pos, End: pos}
}

// cursor turns offsets in a text into places, whose columns count characters.
// Asked in the order of the text, it walks through it once.
type cursor struct {
	text []byte
	at   hcl.Pos
}

func newCursor(text []byte) cursor { return cursor{text, hcl.InitialPos} }

func (c *cursor) pos(offset int) hcl.Pos {
	if offset < c.at.Byte {
		c.back(offset)
	}
	passed := c.text[c.at.Byte:offset]
	if last := bytes.LastIndexByte(passed, '\n'); last >= 0 {
		c.at.Line += bytes.Count(passed, []byte("\n"))
		c.at.Column = 1
		passed = passed[last+1:]
	}
	c.at.Column += utf8.RuneCount(passed)
	c.at.Byte = offset
	return c.at
}

func (c *cursor) back(offset int) {
	over := c.text[offset:c.at.Byte]
	if lines := bytes.Count(over, []byte("\n")); lines > 0 {
		start := bytes.LastIndexByte(c.text[:offset], '\n') + 1
		c.at = hcl.Pos{Line: c.at.Line - lines, Column: 1 + utf8.RuneCount(c.text[start:offset]), Byte: offset}
		return
	}
	c.at.Column -= utf8.RuneCount(over)
	c.at.Byte = offset
}
