package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"mtlsplan/internal/input"
)

// roster is one file with many users. Each format has a reader of its own, which
// hands over the users one by one; their attributes go through the same rows of
// the language as those of a user block.
type roster struct {
	*loader
	text    []byte
	places  cursor
	path    string // as it is shown
	called  string // what the parts of a user are called: "column" or "attribute"
	user    row
	count   int // of users, good or bad
	unknown map[string]*unknownColumn
	guarded bool        // text that belongs to no column may be a secret
	suspect func() bool // whether the text speaks of secrets
}

// openRoster is a roster file that was read.
type openRoster struct {
	info  fs.FileInfo
	named hcl.Range
}

func (l *loader) readRosters(found []*hclsyntax.Block) {
	seen := map[string]hcl.Range{}
	var opened []openRoster
	for _, b := range found {
		l.label(b, seen)
		s := rosterBlock{}
		l.readBlock(b.Body, s.target())
		if !s.file.set {
			if !tried(b.Body, "file") {
				l.missing(b.DefRange(), "Roster without a file", `A roster names its list: file = "staff.csv".`)
			}
			continue
		}
		text, info, err := input.Read(l.ctx, l.absolute(s.file.value), maxSize)
		if err != nil {
			l.error(s.file.at, unreadableRoster(err), rosterAdvice(err, l.besideSpec(s.file.value)))
			continue
		}
		if spec, err := os.Stat(l.cfg.File); err == nil && os.SameFile(spec, info) {
			l.error(s.file.at, "Spec instead of a roster", "This is the spec itself. Name the file with the list of users.")
			continue
		}
		if first, twice := alreadyOpen(opened, info); twice {
			l.error(s.file.at, "Roster read twice",
				fmt.Sprintf("The roster %s reads the same file, so each user in it would be listed twice. Remove one of the two.", place(first)))
			continue
		}
		opened = append(opened, openRoster{info, s.file.at})
		l.readRoster(l.besideSpec(s.file.value), title(b), text)
	}
}

// besideSpec names a path as the spec itself was named.
func (l *loader) besideSpec(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(l.cfg.File), path)
}

func alreadyOpen(opened []openRoster, info fs.FileInfo) (hcl.Range, bool) {
	for _, o := range opened {
		if os.SameFile(o.info, info) {
			return o.named, true
		}
	}
	return hcl.Range{}, false
}

func unreadableRoster(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "No such file"
	case errors.Is(err, input.ErrDirectory):
		return "Directory instead of a roster"
	case errors.Is(err, input.ErrNotRegular):
		return "Not a file"
	case errors.Is(err, input.ErrTooLarge):
		return "File too large"
	}
	return "Unreadable file"
}

// rosterAdvice says what is wrong and what to do.
func rosterAdvice(err error, file string) string {
	const kept = " A roster that cannot be read is never taken for an empty one: nothing is done."
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("There is no %s. The path of a roster is relative to the spec.", file) + kept
	case errors.Is(err, input.ErrDirectory):
		return file + " is a directory. Name the file in it that lists the users."
	case errors.Is(err, input.ErrNotRegular):
		return file + " is not a regular file, so reading it might never end. Write the list to a file first."
	case errors.Is(err, input.ErrTooLarge):
		return fmt.Sprintf("A roster has at most %d MiB. Is this the right file?", maxSize>>20)
	}
	return fmt.Sprintf("%s cannot be read: %v.", file, err) + kept
}

var byteOrderMark = []byte("\ufeff")

// readRoster reads the users in a text whose format its name tells.
func (l *loader) readRoster(file, title string, text []byte) {
	text = bytes.TrimPrefix(text, byteOrderMark)
	src := l.src.add(file, text)
	src.blocks = []span{{0, len(text) + 1, title}}
	r := &roster{loader: l, text: text, places: newCursor(text), path: file, called: "attribute", unknown: map[string]*unknownColumn{},
		suspect: sync.OnceValue(func() bool { return mayHoldSecrets(text) })}
	if offset, detail := notText(text, "roster"); detail != "" {
		r.unparsed(offset, offset, "Not a text file", detail)
		return
	}
	before := len(l.diags)
	ending := strings.ToLower(filepath.Ext(file))
	src.exact = ending == ".csv" || ending == ".json" // which have no comments
	switch ending {
	case ".csv":
		r.called = "column"
		r.csv()
	case ".json":
		r.json()
	default:
		r.yaml()
	}
	r.reportUnknown()
	if r.count == 0 && len(l.diags) == before {
		r.error(r.span(0, 0), "Empty roster",
			"This file lists no users. It is not taken for an empty list, because everybody who was in it would lose access. If that is intended, remove the roster block from the spec.")
	}
}

func (r *roster) span(start, end int) hcl.Range {
	start = min(start, len(r.text))
	end = max(start, min(end, len(r.text)))
	from := r.places.pos(start)
	return hcl.Range{Filename: r.path, Start: from, End: r.places.pos(end)}
}

// unparsed reports text that could not be split into cells, and so could have a
// secret anywhere in it.
func (r *roster) unparsed(start, end int, summary, detail string) {
	at := r.span(start, end)
	if r.guarded || r.suspect() {
		r.hideLines(start, end)
	}
	r.error(at, summary, detail)
}

func (r *roster) hideLines(start, end int) {
	start = bytes.LastIndexByte(r.text[:start], '\n') + 1
	if n := bytes.IndexByte(r.text[min(end, len(r.text)):], '\n'); n >= 0 {
		end += n
	} else {
		end = len(r.text)
	}
	r.src.hide(r.span(start, end))
}

var secretish = regexp.MustCompile(`(?i)(?:pass|secret|pwd|credential|challenge)[\w-]*(\.(?:env|file|command|generate)\b)?`)

// mayHoldSecrets reports whether a text speaks of secrets in any way other than
// by naming their sources.
func mayHoldSecrets(text []byte) bool {
	for len(text) > 0 {
		m := secretish.FindSubmatchIndex(text)
		if m == nil {
			return false
		}
		if m[2] < 0 {
			return true
		}
		text = text[m[1]:]
	}
	return false
}
