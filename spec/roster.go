package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
	own     *source
	text    []byte
	places  cursor
	path    string // as it is shown
	called  string // what the parts of a user are called: "column" or "attribute"
	user    row
	count   int // of users, good or bad
	skipped int // rows that do not count
	unknown map[string]*unknownColumn
	guarded bool        // text that belongs to no column may be a secret
	suspect func() bool // whether the text speaks of secrets

	block     *rosterBlock
	printed   bool                 // by a program
	guessed   bool                 // the encoding
	mapped    map[string][]*column // by the names of the list; nil where it has ours
	where     []condition
	found     map[string]bool // names of YAML and JSON that were there; nil before the first user
	met       map[string]bool // conditions whose column was there
	elsewhere bool            // the list is another program's, which was reported
}

// openRoster is where a roster was read from.
type openRoster struct {
	info    fs.FileInfo // of a file
	command []string
	named   hcl.Range
}

func (l *loader) readRosters(found []*hclsyntax.Block) {
	seen := map[string]hcl.Range{}
	var opened []openRoster
	for _, b := range found {
		l.label(b, seen)
		s := rosterBlock{}
		l.readBlock(b.Body, s.target())
		format, ok := l.checkRoster(b, &s)
		if !ok {
			continue
		}
		source := openRoster{command: s.command.value, named: s.file.or(said[string]{at: s.command.at}).at}
		name := l.besideSpec(s.file.value)
		var text []byte
		if s.command.set {
			if l.withoutPrograms {
				continue
			}
			name = l.nameOfOutput(s.command.value)
		} else if text, source.info, ok = l.rosterText(&s); !ok {
			continue
		}
		if i := slices.IndexFunc(opened, source.same); i >= 0 {
			l.error(source.named, "Roster read twice",
				fmt.Sprintf("The roster %s reads the same list, so each user in it would be listed twice. Remove one of the two.", place(opened[i].named)))
			continue
		}
		opened = append(opened, source)
		if s.command.set {
			if text, ok = l.runRoster(&s); !ok {
				continue
			}
		}
		l.readRoster(name, title(b), format, &s, text)
	}
}

// rosterText reads the file of a roster.
func (l *loader) rosterText(s *rosterBlock) ([]byte, fs.FileInfo, bool) {
	text, info, err := input.Read(l.ctx, l.absolute(s.file.value), maxSize)
	if err != nil {
		l.error(s.file.at, unreadableRoster(err), rosterAdvice(err, l.besideSpec(s.file.value)))
		return nil, nil, false
	}
	if spec, err := os.Stat(l.cfg.File); err == nil && os.SameFile(spec, info) {
		l.error(s.file.at, "Spec instead of a roster", "This is the spec itself. Name the file with the list of users.")
		return nil, nil, false
	}
	return text, info, true
}

// same reports whether two rosters read the same list.
func (o openRoster) same(other openRoster) bool {
	if o.info == nil || other.info == nil {
		return o.info == nil && other.info == nil && slices.Equal(o.command, other.command)
	}
	return os.SameFile(o.info, other.info)
}

// besideSpec names a path as the spec itself was named.
func (l *loader) besideSpec(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(l.cfg.File), path)
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

const kept = " A roster that cannot be read is never taken for an empty one: nothing is done."

// rosterAdvice says what is wrong and what to do.
func rosterAdvice(err error, file string) string {
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

// readRoster reads the users in a text.
func (l *loader) readRoster(file, title, format string, block *rosterBlock, text []byte) {
	text, guessed, fault := decoded(text, format)
	src := l.src.add(file, text)
	src.blocks = []span{{0, len(text) + 1, title}}
	r := &roster{loader: l, own: src, text: text, places: newCursor(text), path: file, called: "attribute", unknown: map[string]*unknownColumn{},
		suspect: sync.OnceValue(func() bool { return mayHoldSecrets(text) }),
		block:   block, printed: block.command.set, guessed: guessed, where: block.where.value, met: map[string]bool{}}
	if block.columns.set {
		r.mapped = map[string][]*column{}
		for _, c := range block.columns.value {
			r.mapped[c.theirs.value] = append(r.mapped[c.theirs.value], c.column)
		}
	}
	if fault != "" {
		r.unparsed(0, 0, "Not a text file", fault)
		return
	}
	if kind := otherKind(text, format); kind != "" {
		r.unparsed(0, 0, "Not a roster", kind)
		return
	}
	if offset, detail := notText(text, "roster"); detail != "" {
		r.unparsed(offset, offset, "Not a text file", detail)
		return
	}
	before := len(l.diags)
	src.exact = format != "yaml" // the others have no comments
	switch format {
	case "csv":
		r.called = "column"
		r.csv()
	case "json":
		r.json()
	default:
		r.yaml()
	}
	r.reportUnknown()
	r.reportAbsent()
	if r.count == 0 && len(l.diags) == before {
		r.empty()
	}
}

// empty refuses a list without a user that counts.
func (r *roster) empty() {
	const kept = " It is not taken for an empty list, because everybody who was in it would lose access. If that is intended, remove the roster block from the spec."
	switch {
	case r.skipped > 0:
		r.error(r.block.where.at, "Empty roster", fmt.Sprintf("No row counts: of %s, none has such a value in each of these columns. %s", count(r.skipped, "row"), r.others())+kept)
	case r.printed && len(bytes.TrimSpace(r.text)) == 0:
		r.error(r.block.command.at, "Empty roster", "The program printed nothing."+kept)
	case r.printed:
		r.error(r.block.command.at, "Empty roster", "The program printed a list without users."+kept)
	default:
		r.error(r.span(0, 0), "Empty roster", "This file lists no users."+kept)
	}
}

// others says which values the columns of the conditions have, as far as that may be shown.
func (r *roster) others() string {
	var list []string
	for i := range r.where {
		c := &r.where[i]
		if shown := c.found.shown(isStatus(c.theirs.value)); shown != "" && !r.suspect() {
			list = append(list, fmt.Sprintf("%q has %s.", cut(c.theirs.value), shown))
		}
	}
	if list == nil {
		return "Look which values the list has."
	}
	return strings.Join(list, " ")
}

// find notes which names a user of YAML or JSON has.
func (r *roster) find(names []string) {
	if r.found == nil {
		r.found = map[string]bool{}
	}
	if r.mapped == nil && len(r.where) == 0 {
		return
	}
	for _, n := range names {
		r.found[n] = true
	}
}

// reportAbsent reports what the block names and no user of YAML or JSON has: most
// likely it is misspelt.
func (r *roster) reportAbsent() {
	if r.found == nil {
		return
	}
	names := slices.Sorted(maps.Keys(r.found))
	for _, n := range r.theirs() {
		if !r.found[n.value] && !r.met[n.value] {
			r.absent(n, names, "No user of this list has the attribute %q.")
		}
	}
}

// theirs are the names of columns that the block names.
func (r *roster) theirs() []said[string] {
	var out []said[string]
	for _, c := range r.block.columns.value {
		out = append(out, c.theirs)
	}
	for _, c := range r.where {
		out = append(out, c.theirs)
	}
	return out
}

// absent reports a name of the block that the list, with these names, does not
// have.
func (r *roster) absent(n said[string], names []string, what string) {
	detail := fmt.Sprintf(what, cut(n.value))
	if s := suggest(n.value, names); s != "" {
		detail += fmt.Sprintf(" Did you mean %q?", s)
	}
	r.error(n.at, "Column that is not in the list", detail+" It has: "+theirNames(names)+".")
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
