package spec

import (
	"bytes"
	"iter"
	"regexp"

	"mtlsplan/render/proxies"
)

// A secret that somebody wrote into a spec is found by the text alone, so that it
// is also hidden in a file that cannot be parsed. All that follows the name of
// a secret is hidden, unless it is the place of one and nothing else.

var (
	secretWord = regexp.MustCompile(`(?i)(?:(?:pass|phrase|secret|pwd|kennwort|credential|challenge)[\w.-]*|\b(?:identity|pw|pin))(?:"?[ \t]*(?:[=:][ \t]*|[{\[(])|[ \t]+["'])`)
	secretHead = regexp.MustCompile(`(?i)(?:^|\{)[ \t]*"?(?:[\w.-]*(?:pass|phrase|secret|pwd|kennwort|credential|challenge)[\w.-]*|identity|pw|pin)(?:"?[ \t]*[=:]?[ \t]*$|"?[ \t]+|["'])`)
	lineStart  = regexp.MustCompile(`^[ \t]*(?:([A-Za-z_][\w-]*)[ \t]*=[ \t]*[^=\s]|([A-Za-z_][\w-]*)[ \t]*(?:"[^"]*"[ \t]*)?\{)`)
	heredocEnd = regexp.MustCompile(`^<<-?([\w-]+)[ \t]*\r?$`)

	// A private key may stand anywhere, above all where its public half belongs.
	privateKey = regexp.MustCompile(`(?i)AGE-(?:SECRET-KEY|PLUGIN)-[0-9A-Z-]*|(?s:-----BEGIN[^\n"]*PRIVATE KEY.*?(?:-----END[^\n"]*|$))`)

	secretPlace = regexp.MustCompile(`^\{\s*(?:` + placeMember + `\s*,?\s*)*\}[ \t]*(?:$|[\r\n#,}]|//)`)
)

const (
	placeMember = `(?:` +
		`(?:env|"env")\s*[=:]\s*"[A-Za-z_][A-Za-z0-9_]*"|` +
		`(?:file|"file")\s*[=:]\s*` + placeText + `|` +
		`(?:command|"command")\s*[=:]\s*\[\s*(?:` + placeText + `\s*,\s*)*(?:` + placeText + `\s*)?\]|` +
		`(?:generate|"generate")\s*[=:]\s*(?:true|false))`
	placeText = `"[^"\\{\r\n]*"`

	longestPlace = 4 << 10 // anything longer is hidden
)

// isPlace is the length of the place of a secret that text begins with, 0
// where it begins with anything else.
func isPlace(text []byte) int {
	return len(secretPlace.Find(text[:min(len(text), longestPlace)]))
}

// specNames are the names that end a secret whose bracket or quote is missing.
var specNames = func() map[string]bool {
	names := map[string]bool{}
	for _, n := range topLevel {
		names[n] = true
	}
	for _, a := range attributes {
		names[a.name] = true
	}
	for _, b := range blocks {
		names[b.name] = true
	}
	for _, p := range proxies.All {
		for _, s := range p.Attributes {
			names[s.Name] = true
		}
	}
	for _, n := range secretPlaces {
		delete(names, n)
	}
	return names
}()

// secretNames are those of the attributes that name a secret.
var secretNames = secretAttributes()

// findSecrets are the parts of a spec that must not be shown, in order.
func findSecrets(text []byte) (hidden [][2]int) {
	hide := func(from, to int) {
		if from < to {
			hidden = append(hidden, [2]int{from, to})
		}
	}
	for at := 0; at < len(text); {
		end := lineEnd(text, at)
		value, found := secretValue(text[at:end])
		if !found {
			at = end + 1
			continue
		}
		at += value
		if n := isPlace(text[at:]); n > 0 {
			at += bytes.LastIndexByte(text[at:at+n], '}') // a comment after it may hold a secret
			if end := lineEnd(text, at); !secretWord.Match(text[at:end]) {
				at = min(end+1, len(text))
				to := behindSecret(text, at, false)
				hide(at, to)
				at = max(at, to)
			}
			continue
		}
		to := endOfSecret(text, at)
		hide(at, to)
		at = max(to, at)
	}
	return merge(append(hidden, privateKeys(text)...))
}

// privateKeys are the parts of a text that are one.
func privateKeys(text []byte) [][2]int {
	var out [][2]int
	for _, m := range privateKey.FindAllIndex(text, -1) {
		out = append(out, [2]int{m[0], m[1]})
	}
	return out
}

// Mask is a spec's text with "(hidden)" for what could be a secret.
func Mask(text []byte) []byte {
	var out []byte
	at := 0
	for _, h := range findSecrets(text) {
		out = append(append(out, text[at:h[0]]...), "(hidden)"...)
		at = h[1]
	}
	return append(out, text[at:]...)
}

func lineEnd(text []byte, at int) int {
	if n := bytes.IndexByte(text[at:], '\n'); n >= 0 {
		return at + n
	}
	return len(text)
}

// secretValue is where in a line the value of something begins whose name is
// that of a secret, or nearly.
func secretValue(line []byte) (offset int, found bool) {
	if m := secretWord.FindIndex(line); m != nil {
		if bytes.IndexByte([]byte("{[(\"'"), line[m[1]-1]) >= 0 {
			return m[1] - 1, true
		}
		return m[1], true
	}
	if m := secretHead.FindIndex(line); m != nil {
		return m[1], true
	}
	m := lineStart.FindSubmatch(line)
	if m == nil {
		return 0, false
	}
	name := string(m[1]) + string(m[2])
	return len(m[0]) - 1, !specNames[name] && suggest(name, secretNames) != ""
}

// endOfSecret is the end of a value that begins at at: where its brackets close,
// or where another attribute begins.
func endOfSecret(text []byte, at int) int {
	end := lineEnd(text, at)
	if m := heredocEnd.FindSubmatch(text[at:end]); m != nil {
		last := regexp.MustCompile(`\n[ \t]*` + regexp.QuoteMeta(string(m[1])) + `[ \t]*(?:\r?\n|$)`)
		if found := last.FindIndex(text[end:]); found != nil {
			return end + found[0]
		}
		return behindSecret(text, min(end+1, len(text)), true)
	}
	depth := brackets(text[at:end], 0)
	inside := depth > 0 || len(bytes.TrimSpace(text[at:end])) == 0
	for inside && end < len(text) {
		next := lineEnd(text, end+1)
		if endsSecret(text[end+1:next], true) {
			return end
		}
		depth = brackets(text[end+1:next], depth)
		inside = depth > 0
		end = next
	}
	next := min(end+1, len(text))
	if to := behindSecret(text, next, false); to > next {
		return to
	}
	return end
}

// behindSecret is the end of the lines from at on that begin nothing new, at
// itself when there are none.
func behindSecret(text []byte, at int, inside bool) int {
	to := at
	for at < len(text) {
		end := lineEnd(text, at)
		line := text[at:end]
		if endsSecret(line, inside) {
			break
		}
		if len(bytes.TrimSpace(line)) > 0 {
			to = end
		}
		at = end + 1
	}
	return to
}

func endsSecret(line []byte, inside bool) bool {
	word := bytes.TrimLeft(line, " \t")
	if !inside && len(word) > 0 && bytes.IndexByte([]byte("}#/"), word[0]) >= 0 {
		return true
	}
	m := lineStart.FindSubmatch(line)
	return m != nil && (!inside && len(m[1]) > 0 || specNames[string(m[1])+string(m[2])])
}

// brackets is how many of them are open after a line.
func brackets(line []byte, depth int) int {
	for _, c := range outsideQuotes(line) {
		switch c {
		case '{', '[', '(':
			depth++
		case '}', ']', ')':
			depth = max(0, depth-1)
		}
	}
	return depth
}

// outsideQuotes are the octets of a line that are in no quotes, with their places.
func outsideQuotes(line []byte) iter.Seq2[int, byte] {
	return func(yield func(int, byte) bool) {
		quoted := false
		for i := 0; i < len(line); i++ {
			switch c := line[i]; {
			case quoted && c == '\\':
				i++
			case c == '"':
				quoted = !quoted
			case !quoted && !yield(i, c):
				return
			}
		}
	}
}

// hideSecrets hides in a spec what looks like a secret.
func (s *Sources) hideSecrets(file string) {
	f := s.files[file]
	f.hidden = append(f.hidden, findSecrets(f.text)...)
	f.exact = true
}
