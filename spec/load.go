package spec

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxSize is far above what 100,000 users need, in bytes.
const maxSize = 64 << 20

// Load reads and checks a spec. It reports every problem that it finds, in the
// order of the file; each has a range. When one of them is an error, the
// Config is nil. The Sources are for showing the problems.
//
// The only file that is read is the spec itself: whether a passphrase can be
// had is not part of it.
func Load(file string) (*Config, *Sources, hcl.Diagnostics) {
	src := &Sources{files: map[string]*source{}}
	text, problem := readFile(file)
	if problem != nil {
		return nil, src, hcl.Diagnostics{problem}
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, src, hcl.Diagnostics{atFile(file, "Unknown working directory", sentence(err.Error()))}
	}
	cfg, diags := load(text, file, dir, src)
	return cfg, src, diags
}

// load is Load but for the disk.
func load(text []byte, file, dir string, src *Sources) (*Config, hcl.Diagnostics) {
	src.files[file] = &source{text: text}
	l := newLoader(src, file, dir)
	if l.readable(text) {
		l.config(text)
	}
	l.finish()
	if l.diags.HasErrors() {
		return nil, l.diags
	}
	return l.cfg, l.diags
}

// loader collects what a spec says and what is wrong with it.
type loader struct {
	src    *Sources
	cfg    *Config
	at     hcl.Range // the file as such
	diags  hcl.Diagnostics
	absent hcl.Diagnostics // what is missing
	broken bool            // the parser gave up on a part, so what is missing may be there
	used   []use

	file            settings                      // the attributes outside of any block
	top             map[string]bool               // their names
	kinds           map[string][]*hclsyntax.Block // top-level blocks by type
	ca, defaults    settings
	identityHeaders bool                 // some site forwards the DN
	users           map[string]hcl.Range // by name in lower case
	people          people
	early           map[[2]int]bool // pairs of validity and renew_before that were reported
	weak            map[int]bool    // places of kdf_iterations that were reported
	siteBodies      []*hclsyntax.Body
	advice          []*advice
}

func newLoader(src *Sources, file, dir string) *loader {
	return &loader{
		src:   src,
		cfg:   &Config{File: file, Dir: dir},
		at:    hcl.Range{Filename: file, Start: hcl.InitialPos, End: hcl.InitialPos},
		early: map[[2]int]bool{},
		weak:  map[int]bool{},
		top:   map[string]bool{},
	}
}

func (l *loader) error(at hcl.Range, summary, detail string) {
	l.diags = append(l.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at})
}

// missing reports what is not there, unless it may be in a part that could not
// be parsed.
func (l *loader) missing(at hcl.Range, summary, detail string) {
	l.absent = append(l.absent, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at})
}

func atFile(file, summary, detail string) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail,
		Subject: &hcl.Range{Filename: file, Start: hcl.InitialPos, End: hcl.InitialPos}}
}

// readFile returns the text of a spec, or the one problem that keeps it from
// being read.
func readFile(file string) ([]byte, *hcl.Diagnostic) {
	info, err := os.Stat(file) // before opening: a named pipe would make us wait
	switch {
	case err != nil:
		return nil, unreadable(file, err)
	case info.IsDir():
		return nil, atFile(file, "Directory instead of a spec", "This is a directory. Name the spec in it, such as "+filepath.Join(file, "mtlsplan.hcl")+".")
	case !info.Mode().IsRegular():
		return nil, atFile(file, "Not a file", "A spec is a file: it is read more than once, and paths in it are relative to where it is.")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, unreadable(file, err)
	}
	defer f.Close()
	var text bytes.Buffer
	text.Grow(int(min(info.Size(), maxSize)) + bytes.MinRead)
	_, err = text.ReadFrom(io.LimitReader(f, maxSize+1))
	switch {
	case err != nil:
		return nil, unreadable(file, err)
	case text.Len() > maxSize:
		return nil, atFile(file, "File too large", fmt.Sprintf("A spec has at most %d MiB. Is this the right file?", maxSize>>20))
	}
	return text.Bytes(), nil
}

func unreadable(file string, err error) *hcl.Diagnostic {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return atFile(file, "No such file", "There is no spec here. Name the right one, or have a new one written:\nmtlsplan init "+file)
	}
	return atFile(file, "Unreadable file", fmt.Sprintf("The spec cannot be read: %v.", err))
}

// readable reports whether text can be given to the parser.
func (l *loader) readable(text []byte) bool {
	if problem := l.notText(text); problem != nil {
		l.diags = append(l.diags, problem)
		return false
	}
	if offset, deep := tooDeep(text); deep {
		l.error(l.position(text, offset), "Nested too deeply",
			"No spec needs so many brackets, quotes or operators in one another. Is something not closed, or is this the right file?")
		return false
	}
	return true
}

func (l *loader) notText(text []byte) *hcl.Diagnostic {
	problem := func(offset int, detail string) *hcl.Diagnostic {
		at := l.position(text, offset)
		return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Not a text file", Detail: detail, Subject: &at}
	}
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return problem(0, "This is UTF-16. A spec is UTF-8: save it as that.")
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		return problem(i, "A NUL byte stands here, so this is a binary file. A spec is text.")
	}
	if utf8.Valid(text) {
		return nil
	}
	offset := 0
	for offset < len(text) {
		r, n := utf8.DecodeRune(text[offset:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		offset += n
	}
	return problem(offset, "A byte stands here that is not UTF-8. A spec is UTF-8 text: save it as that.")
}

// position is the place of one byte, its column counted in characters.
func (l *loader) position(text []byte, offset int) hcl.Range {
	offset = min(offset, len(text))
	start := bytes.LastIndexByte(text[:offset], '\n') + 1
	pos := hcl.Pos{Line: bytes.Count(text[:start], []byte("\n")) + 1, Column: utf8.RuneCount(text[start:offset]) + 1, Byte: offset}
	return hcl.Range{Filename: l.cfg.File, Start: pos, End: pos}
}

// finish puts the problems and what their display needs in order.
func (l *loader) finish() {
	if !l.broken {
		l.diags = append(l.diags, l.absent...)
	}
	for _, d := range l.diags {
		if d.Subject == nil {
			d.Subject = &l.at
		}
	}
	slices.SortStableFunc(l.diags, func(a, b *hcl.Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Subject.Start.Byte, b.Subject.Start.Byte), cmp.Compare(a.Severity, b.Severity))
	})
	f := l.src.files[l.cfg.File]
	slices.SortFunc(f.hidden, func(a, b hcl.Range) int { return cmp.Compare(a.Start.Byte, b.Start.Byte) })
	slices.SortFunc(f.blocks, func(a, b span) int { return cmp.Compare(a.start, b.start) })
}

func (s *Sources) hide(r hcl.Range) {
	f := s.files[r.Filename]
	f.hidden = append(f.hidden, r)
}
