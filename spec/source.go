package spec

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Sources are the bytes that diagnostics point into, and what of them must not
// be shown.
type Sources struct {
	files map[string]*source
}

type source struct {
	text   []byte
	hidden []hcl.Range // in the order of the file
	blocks []span      // in the order of the file
}

// span is a top-level block by its byte offsets.
type span struct {
	start, end int
	title      string
}

// Snippet is one line of source text and the part of it that is meant.
type Snippet struct {
	Text       string
	Start, End int      // byte offsets of the part in Text
	Hidden     [][2]int // byte offsets of what must not be shown, in order
}

// Snippet returns the line in which r starts, false where its text is not
// known. Whatever could be a passphrase that somebody wrote into the file is
// marked as hidden.
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
	first := sort.Search(len(f.hidden), func(i int) bool { return f.hidden[i].End.Byte > start })
	for _, h := range f.hidden[first:] {
		if h.Start.Byte >= end {
			break
		}
		snip.Hidden = append(snip.Hidden, [2]int{part(h.Start.Byte), part(h.End.Byte)})
	}
	snip.Hidden = append(snip.Hidden, looksSecret(line)...)
	if start > 0 {
		snip.Hidden = append(snip.Hidden, insideSecret(f.text[bytes.LastIndexByte(f.text[:start-1], '\n')+1:start], line)...)
	}
	snip.Hidden = merge(snip.Hidden)
	return snip, true
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

// Block names the top-level block that r stands in, such as `user "mmuser"`;
// "" where it stands in none.
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
	secretName   = regexp.MustCompile(`(?i)(pass|secret|pwd|credential|challenge)[\w.-]*"?[ \t]*[=:][ \t]*`)
	secretOpen   = regexp.MustCompile(`(?i)(pass|secret|pwd|credential|challenge)[\w.-]*"?[ \t]*=[ \t]*[\[{(]\s*$`)
	lineName     = regexp.MustCompile(`^[ \t]*"?([\w.-]*)"?[ \t]*[=:]?[ \t]*`)
	secretMember = regexp.MustCompile(`("?)([\w.-]+)"?[ \t]*[=:][ \t]*`)
	secretLabel  = regexp.MustCompile(`(?i)(pass|secret|pwd|credential|challenge)[\w.-]*[ \t]+"`)
)

// looksSecret finds what follows a name like passphrase without naming a place.
// It goes by the text alone, for lines that could not be parsed and for names
// that the language does not have.
func looksSecret(line []byte) [][2]int {
	m := secretName.FindIndex(line)
	if m == nil {
		if m = secretLabel.FindIndex(line); m == nil {
			return nil
		}
		return [][2]int{{m[1] - 1, len(line)}}
	}
	end := len(bytes.TrimRight(line, " \t"))
	value := line[min(m[1], end):end]
	if len(value) == 0 {
		return nil
	}
	if value[0] != '{' {
		return [][2]int{{m[1], end}}
	}
	at := 1
	for _, member := range secretMember.FindAllSubmatchIndex(value, -1) {
		name := string(value[member[4]:member[5]])
		switch {
		case slices.Contains(secretPlaces, name):
			at = member[1]
		case member[2] < member[3]: // a name in quotes could be anything
			return [][2]int{{m[1] + member[0], end}}
		default:
			return [][2]int{{m[1] + member[1], end}}
		}
	}
	if at == 1 && strings.Trim(string(value), "{} \t") != "" {
		return [][2]int{{m[1] + 1, end}}
	}
	return nil
}

// insideSecret does the same for the line that follows an opening brace.
func insideSecret(before, line []byte) [][2]int {
	if !secretOpen.Match(before) {
		return nil
	}
	m := lineName.FindSubmatchIndex(line)
	if m[1] == len(line) || slices.Contains(secretPlaces, string(line[m[2]:m[3]])) {
		return nil
	}
	return [][2]int{{m[1], len(line)}}
}
