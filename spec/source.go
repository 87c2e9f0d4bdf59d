package spec

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"

	"mtlsplan/internal/plan"
)

// Sources are the bytes that diagnostics point into, and what of them must not
// be shown.
type Sources struct {
	files map[string]*source
}

type source struct {
	text   []byte
	order  int      // in which the files are read
	exact  bool     // hidden has every secret: lines need not be searched for them
	hidden [][2]int // byte offsets, in the order of the file
	blocks []span   // in the order of the file
}

// span is a top-level block by its byte offsets.
type span struct {
	start, end int
	title      string
}

func (s *Sources) add(name string, text []byte) *source {
	f := &source{text: text, order: len(s.files)}
	s.files[name] = f
	return f
}

// Contents are the spec and its rosters by what they hold, in the order in which they
// were read: the spec comes first.
func (s *Sources) Contents() []plan.Content {
	out := make([]plan.Content, len(s.files))
	for name, f := range s.files {
		out[f.order] = plan.ContentOf(name, f.text)
	}
	return out
}

// compare orders places: the spec comes first, then its rosters.
func (s *Sources) compare(a, b hcl.Range) int {
	if a.Filename != b.Filename {
		if c := cmp.Compare(s.files[a.Filename].order, s.files[b.Filename].order); c != 0 {
			return c
		}
	}
	return cmp.Compare(a.Start.Byte, b.Start.Byte)
}

// hide keeps a part of a file from being shown.
func (s *Sources) hide(r hcl.Range) { s.files[r.Filename].hide(r.Start.Byte, r.End.Byte) }

// hide is [Sources.hide] for byte offsets.
func (f *source) hide(start, end int) { f.hidden = append(f.hidden, [2]int{start, end}) }

// Snippet is one line of source text, or the part of a very long one that is
// near, and the place in it that is meant.
type Snippet struct {
	Text       string
	Start, End int      // byte offsets of the part in Text
	Hidden     [][2]int // byte offsets of what must not be shown, in order
}

// Snippet returns the line in which r starts, false where its text is not
// known. Any text that could be a passphrase is marked as hidden.
func (s *Sources) Snippet(r hcl.Range) (Snippet, bool) {
	f := s.file(r.Filename)
	if f == nil || r.Start.Byte > len(f.text) {
		return Snippet{}, false
	}
	start := bytes.LastIndexByte(f.text[:r.Start.Byte], '\n') + 1
	end := len(f.text)
	if n := bytes.IndexByte(f.text[r.Start.Byte:], '\n'); n >= 0 {
		end = r.Start.Byte + n
	}
	line := bytes.TrimSuffix(f.text[start:end], []byte("\r"))
	part := func(offset int) int { return max(0, min(offset-start, len(line))) }
	snip := Snippet{Text: string(line), Start: part(r.Start.Byte), End: part(max(r.Start.Byte, r.End.Byte))}
	first := sort.Search(len(f.hidden), func(i int) bool { return f.hidden[i][1] > start })
	for _, h := range f.hidden[first:] {
		if h[0] >= end {
			break
		}
		snip.Hidden = append(snip.Hidden, [2]int{part(h[0]), part(h[1])})
	}
	if !f.exact {
		snip.Hidden = append(append(snip.Hidden, looksSecret(line)...), privateKeys(line)...)
	}
	snip.Hidden = merge(snip.Hidden)
	return snip.near(), true
}

// nearby is how much of a line is kept on each side of the place that is meant,
// in bytes: more than is ever shown. A whole file may be one line.
const nearby = 4 << 10

func (s Snippet) near() Snippet {
	from, to := max(0, s.Start-nearby), min(len(s.Text), s.Start+nearby)
	for from > 0 && !utf8.RuneStart(s.Text[from]) {
		from--
	}
	for to < len(s.Text) && !utf8.RuneStart(s.Text[to]) {
		to++
	}
	inside := func(offset int) int { return max(0, min(offset, to)-from) }
	out := Snippet{Text: s.Text[from:to], Start: inside(s.Start), End: inside(s.End)}
	for _, h := range s.Hidden {
		if h[1] > from && h[0] < to {
			out.Hidden = append(out.Hidden, [2]int{inside(h[0]), inside(h[1])})
		}
	}
	return out
}

// merge sorts ranges and joins those that touch.
func merge(ranges [][2]int) [][2]int {
	slices.SortFunc(ranges, func(a, b [2]int) int { return cmp.Compare(a[0], b[0]) })
	var out [][2]int
	for _, r := range ranges {
		if n := len(out); n > 0 && r[0] <= out[n-1][1] {
			out[n-1][1] = max(out[n-1][1], r[1])
		} else if r[0] < r[1] {
			out = append(out, r)
		}
	}
	return out
}

// Block names the top-level block that r is in, such as `user "mmuser"`; "" where
// it is in none.
func (s *Sources) Block(r hcl.Range) string {
	f := s.file(r.Filename)
	if f == nil {
		return ""
	}
	i := sort.Search(len(f.blocks), func(i int) bool { return f.blocks[i].end > r.Start.Byte })
	if i < len(f.blocks) && f.blocks[i].start <= r.Start.Byte {
		return f.blocks[i].title
	}
	return ""
}

func (s *Sources) file(name string) *source {
	if s == nil {
		return nil
	}
	return s.files[name]
}

var (
	secretName   = regexp.MustCompile(`(?i)(pass|secret|pwd|credential|challenge)([\w.-]*)"?[ \t]*[=:][ \t]*`)
	secretMember = regexp.MustCompile(`("?)([\w.-]+)"?[ \t]*[=:][ \t]*`)
	secretLabel  = regexp.MustCompile(`(?i)(pass|secret|pwd|credential|challenge)[\w.-]*[ \t]+"`)
)

// looksSecret finds what follows a name like passphrase without naming a place.
// It goes by the text alone, for lines that could not be parsed and for names
// that the language does not have.
func looksSecret(line []byte) [][2]int {
	end := len(bytes.TrimRight(line, " \t"))
	at := 0
	for {
		m := secretName.FindSubmatchIndex(line[at:])
		if m == nil {
			break
		}
		name := string(line[at+m[4] : at+m[5]])
		at = min(at+m[1], end)
		if slices.ContainsFunc(secretPlaces, func(p string) bool { return strings.HasSuffix(name, "."+p) }) {
			continue
		}
		value := line[at:end]
		if len(value) == 0 {
			return nil
		}
		if value[0] != '{' {
			return [][2]int{{at, end}}
		}
		value = value[:closingBrace(value)]
		if from, found := otherMember(value); found {
			return [][2]int{{at + from, end}}
		}
		at += len(value)
	}
	if m := secretLabel.FindIndex(line[at:]); m != nil {
		return [][2]int{{at + m[1] - 1, len(line)}}
	}
	return nil
}

// closingBrace is the offset after the brace that closes the one at the
// beginning, or the end of the text where there is none.
func closingBrace(text []byte) int {
	quoted := false
	for i, c := range text {
		switch {
		case c == '"':
			quoted = !quoted
		case c == '}' && !quoted:
			return i + 1
		}
	}
	return len(text)
}

// otherMember finds, in braces, a member that does not name a place.
func otherMember(value []byte) (from int, found bool) {
	members := secretMember.FindAllSubmatchIndex(value, -1)
	for _, m := range members {
		switch {
		case slices.Contains(secretPlaces, string(value[m[4]:m[5]])):
		case m[2] < m[3]: // a name in quotes could be anything
			return m[0], true
		default:
			return m[1], true
		}
	}
	return 1, len(members) == 0 && strings.Trim(string(value), "{} \t") != ""
}
