package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// rosterDepth is how deeply lists and objects may be nested. A roster needs
// four levels: the list of users, a user, a passphrase and its command.
const rosterDepth = 8

// jsonList is a roster in JSON, RFC 8259: a list of objects, read token by
// token.
type jsonList struct {
	*roster
	in *json.Decoder
}

func (r *roster) json() {
	l := jsonList{r, json.NewDecoder(bytes.NewReader(r.text))}
	l.in.UseNumber()
	if len(bytes.TrimSpace(r.text)) == 0 || !l.users() {
		return
	}
	end := int(l.in.InputOffset())
	if start := end + blanks(r.text[end:], " \t\r\n"); start < len(r.text) {
		l.unparsed(start, start+1, "Text after the list", "A roster is one list of users, and it ends above. Put everything in that list.")
	}
}

// next is where the next token begins.
func (l *jsonList) next() int {
	at := int(l.in.InputOffset())
	return at + blanks(l.text[at:], " \t\r\n,:")
}

// blanks is how many bytes of a set text begins with.
func blanks(text []byte, set string) int { return len(text) - len(bytes.TrimLeft(text, set)) }

// token returns the next token with its place; it reports when there is none.
func (l *jsonList) token() (t json.Token, start, end int, ok bool) {
	start = l.next()
	t, err := l.in.Token()
	switch {
	case err == nil:
		return t, start, int(l.in.InputOffset()), true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		l.unparsed(len(l.text), len(l.text), "Roster cut short", "The file ends in the middle of the list. Get the whole file.")
	default:
		l.unparsed(start, start+1, "Malformed JSON",
			"This is not JSON from here on. Strings and names are in double quotes, commas go between items and not after the last, and there are no comments.")
	}
	return nil, 0, 0, false
}

// users reads the list, and reports whether it could be read to its end.
func (l *jsonList) users() bool {
	t, start, end, ok := l.token()
	if !ok {
		return false
	}
	if t != json.Delim('[') {
		l.unparsed(start, end, "Not a list", notAList+` [{"name": "mmuser"}].`)
		return false
	}
	for l.in.More() {
		user, ok := l.value(rosterDepth)
		if !ok {
			return false
		}
		l.object(user)
	}
	_, _, _, ok = l.token()
	return ok
}

const notAList = "A roster is one list of users, with nothing around it:"

// value reads the next value. Null counts as empty text: it sets nothing.
func (l *jsonList) value(depth int) (value, bool) {
	t, start, end, ok := l.token()
	if !ok {
		return value{}, false
	}
	v := value{kind: cell}
	switch t := t.(type) {
	case json.Delim:
		if depth == 0 {
			l.unparsed(start, end, "Nested too deeply", "No roster needs lists and objects nested so deeply. Is this the right file?")
			return v, false
		}
		v.kind = list
		if t == '{' {
			v.kind = object
		}
		for ok && l.in.More() {
			ok = l.element(&v, depth-1)
		}
		if ok {
			_, _, end, ok = l.token()
		}
	case string:
		v.text = t
		if strings.ContainsRune(t, utf8.RuneError) && bytes.Contains(l.text[start:end], []byte(`\u`)) {
			l.unparsed(start, end, "Half a character", `A "\u" with D800 to DFFF is half of a character, and its other half is missing. Write the character itself.`)
			return v, false
		}
	case nil:
	default:
		v.text = fmt.Sprint(t)
	}
	v.at = l.span(start, end)
	return v, ok
}

func (l *jsonList) element(v *value, depth int) bool {
	if v.kind == list {
		e, ok := l.value(depth)
		v.list = append(v.list, e)
		return ok
	}
	name, start, end, ok := l.token()
	if !ok {
		return false
	}
	m := member{at: l.span(start, end)}
	m.name, _ = name.(string) // the decoder takes nothing else there
	m.value, ok = l.value(depth)
	v.members = append(v.members, m)
	return ok
}
