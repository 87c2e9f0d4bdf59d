package spec

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// yamlList is a roster in YAML: a list of mappings. Aliases, anchors and tags,
// by which one place of a file changes another, are refused.
type yamlList struct {
	*roster
	lines yamlCursor
}

func (r *roster) yaml() {
	l := yamlList{r, yamlCursor{text: r.text, line: 1, column: 1}}
	in := yaml.NewDecoder(bytes.NewReader(r.text))
	doc, err := nextDocument(in)
	switch {
	case errors.Is(err, io.EOF):
		return
	case err != nil:
		l.malformed(err)
		return
	}
	for _, root := range doc.Content {
		l.list(root)
	}
	doc, err = nextDocument(in)
	switch {
	case errors.Is(err, io.EOF):
	case err != nil:
		l.malformed(err)
	default:
		at := l.lines.offset(doc.Line, doc.Column)
		l.unparsed(at, l.endOfLine(at), "Several documents in a roster", `A roster is one list. Remove the "---" between the lists to make them one.`)
	}
}

// nextDocument is the library's, but for its panics: it has some for malformed
// text.
func nextDocument(in *yaml.Decoder) (doc *yaml.Node, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("yaml: it is malformed")
		}
	}()
	doc = &yaml.Node{}
	return doc, in.Decode(doc)
}

func (l *yamlList) list(root *yaml.Node) {
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" && l.plain(root) {
		return
	}
	if root.Kind != yaml.SequenceNode {
		at := l.start(root)
		l.unparsed(at, l.endOfLine(at), "Not a list", notAList+` "- name: mmuser".`)
		return
	}
	if !l.plain(root) {
		return
	}
	for i, node := range root.Content {
		root.Content[i] = nil // a large roster is not held twice
		if user, ok := l.value(node, rosterDepth); ok {
			l.object(user)
		} else {
			l.count++
		}
	}
}

func (l *yamlList) start(n *yaml.Node) int { return l.lines.offset(n.Line, n.Column) }

func (l *yamlList) endOfLine(at int) int {
	if n := bytes.IndexByte(l.text[at:], '\n'); n >= 0 {
		return at + len(bytes.TrimRight(l.text[at:at+n], " \t\r"))
	}
	return len(l.text)
}

// plain reports whether a node means what is written there: no alias, anchor,
// tag or merge.
func (l *yamlList) plain(n *yaml.Node) bool {
	if n.Kind != yaml.AliasNode && n.Anchor == "" && n.Style&yaml.TaggedStyle == 0 && n.Tag != "!!merge" {
		return true
	}
	l.indirect(l.start(n))
	return false
}

func (l *yamlList) indirect(at int) {
	l.unparsed(at, l.endOfLine(at), "Alias, anchor or tag in a roster",
		`"&", "*", "<<" and "!" let one place in YAML change what another means. Write each value where it belongs; what is the same for all belongs in the defaults of the spec. Put text that begins with such a character in quotes.`)
}

// value converts a node. Null counts as empty text: it sets nothing.
func (l *yamlList) value(n *yaml.Node, depth int) (value, bool) {
	if !l.plain(n) {
		return value{}, false
	}
	start := l.start(n)
	if depth == 0 {
		l.unparsed(start, l.endOfLine(start), "Nested too deeply", "No roster needs lists and mappings nested so deeply. Is this the right file?")
		return value{}, false
	}
	v := value{kind: cell}
	end, good := start+1, true
	switch n.Kind {
	case yaml.ScalarNode:
		if end, good = l.scalarEnd(n, start); !good {
			l.multiline(start, end)
			return v, false
		}
		if n.Tag != "!!null" {
			v.text = n.Value
		}
	case yaml.SequenceNode:
		v.kind = list
		for _, c := range n.Content {
			e, ok := l.value(c, depth-1)
			v.list, good, end = append(v.list, e), good && ok, e.at.End.Byte
		}
	case yaml.MappingNode:
		v.kind = object
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, nameOK := l.value(n.Content[i], depth-1)
			if nameOK && name.kind != cell {
				nameOK = false
				l.error(name.at, "Not a name", `Expected a plain name to the left of ":".`)
			}
			m, ok := l.value(n.Content[i+1], depth-1)
			good, end = good && nameOK && ok, m.at.End.Byte
			v.members = append(v.members, member{name.text, name.at, m})
		}
	}
	v.at = l.span(start, end)
	return v, good
}

// scalarEnd finds where the text of a node ends, which the library does not
// tell; false where that is not on the line on which it begins.
func (l *yamlList) scalarEnd(n *yaml.Node, start int) (int, bool) {
	rest := l.text[start:]
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		if m := quotedText.Find(rest); m != nil {
			return start + len(m), true
		}
	case bytes.HasPrefix(rest, []byte(n.Value)):
		return start + len(n.Value), true
	}
	return l.endOfLine(start), false
}

var quotedText = regexp.MustCompile(`^("(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\n]|'')*')`)

// multiline refuses text of several lines. It could be a secret, and its end is
// not known: in a file that speaks of secrets, nothing after it is shown.
func (l *yamlList) multiline(start, end int) {
	at := l.span(start, end)
	l.src.hide(at)
	if l.guarded || l.suspect() {
		l.src.hide(l.span(start, len(l.text)))
	}
	l.error(at, "Text of several lines", "Write each value on one line, after its name.")
}

const atProblem = -1

var yamlLine = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?(.*)$`)

// yamlProblems say in our words what the library says, by how that begins.
var yamlProblems = []struct {
	library         string
	line            int // to be added to the library's; [atProblem] where that is the beginning of what the problem is in
	summary, detail string
}{
	{"did not find expected '-' indicator", atProblem, "Indentation that does not fit", `This line does not line up with those above, or continues one that has ended. Each user begins with "- ", and the attributes of one user are in one column.`},
	{"did not find expected key", atProblem, "Indentation that does not fit", `This line does not line up with those above, or follows text whose quotes end too early. The attributes of one user are in one column.`},
	{"did not find expected ',' or", 1, "Bracket that is never closed", "The bracket that opens here is never closed, or a comma is missing inside."},
	{"did not find expected node content", 1, "Value missing", "Expected a value. Put one that begins with a special character in quotes."},
	{"did not find expected <document start>", 1, "Text after the list", "A roster is one list of users, and it ends above."},
	{"mapping values are not allowed", 0, "Colon that does not fit", `Put a value that contains ": " in quotes. If this one does not, a ":" is missing on the line above.`},
	{"found a tab character", atProblem, "Tab in front of a line", "YAML is indented with spaces. Replace the tab."},
	{"found character that cannot start", 0, "Character that needs quotes", "Put a value that begins with @ ` % or a tab in quotes."},
	{"found unexpected end of stream", 0, "Quote that is never closed", "The quote that opens here is never closed. Close it. If the end of the file is missing, get the whole file."},
	{"could not find expected ':'", 0, "Name without a colon", `Each attribute is a name, a colon and a value, as in "name: mmuser".`},
	{"found unknown escape character", 0, "Unknown escape", `In double quotes, a backslash begins an escape. Double it, or use single quotes.`},
}

// malformed reports a problem of the library, whose text could quote the
// roster.
func (l *yamlList) malformed(err error) {
	m := yamlLine.FindStringSubmatch(err.Error())
	line, problem := 1, ""
	if m != nil {
		line, _ = strconv.Atoi(m[1])
		problem = m[2]
	}
	if name, ok := strings.CutPrefix(problem, "unknown anchor '"); ok {
		name, _, _ = strings.Cut(name, "'")
		l.indirect(max(0, bytes.Index(l.text, []byte("*"+name))))
		return
	}
	summary, detail := "Malformed YAML", "Here, or a little above, this is not YAML. Each user begins with \"- \", and the attributes of one user, each NAME: VALUE, are in one column."
	for _, p := range yamlProblems {
		if strings.HasPrefix(problem, p.library) {
			summary, detail = p.summary, p.detail
			if line += p.line; p.line == atProblem {
				line = l.problemLine(problem)
			}
			break
		}
	}
	at := l.lines.offset(max(1, line), 1)
	at += blanks(l.text[at:], " \t")
	if at == len(l.text) {
		detail += " The file ends here: was it cut short?"
	}
	l.unparsed(at, l.endOfLine(at), summary, detail)
}

// problemLine is the line on which the library finds a problem: the last one that
// it asks for, or one shortly before, of which it has looked ahead.
func (l *yamlList) problemLine(problem string) int {
	in := &lineReader{text: l.text}
	yamlProblem(in)
	for in.line > 1 {
		shorter := l.text[:len(bytes.TrimSuffix(l.text[:in.passed], []byte("\n")))]
		shorter = shorter[:bytes.LastIndexByte(shorter, '\n')+1]
		if !strings.Contains(yamlProblem(bytes.NewReader(shorter)), problem) {
			break
		}
		in.line, in.passed = in.line-1, len(shorter)
	}
	return in.line
}

// yamlProblem is what the library says of a text, "" when nothing.
func yamlProblem(text io.Reader) string {
	in := yaml.NewDecoder(text)
	for {
		if _, err := nextDocument(in); errors.Is(err, io.EOF) {
			return ""
		} else if err != nil {
			return err.Error()
		}
	}
}

// lineReader gives a text line by line.
type lineReader struct {
	text         []byte
	line, passed int // of what was given
	inside       bool
}

func (r *lineReader) Read(p []byte) (int, error) {
	if r.passed == len(r.text) {
		return 0, io.EOF
	}
	if !r.inside {
		r.line++
	}
	n := copy(p, r.text[r.passed:min(lineEnd(r.text, r.passed)+1, len(r.text))])
	r.passed += n
	r.inside = r.text[r.passed-1] != '\n'
	return n, nil
}

// yamlCursor turns the library's places into offsets, going forward only. Its
// lines also end where Unicode has ends of lines that are none in HCL.
type yamlCursor struct {
	text                 []byte
	passed, line, column int
}

func (c *yamlCursor) offset(line, column int) int {
	for c.passed < len(c.text) && (c.line < line || c.line == line && c.column < column) {
		r, n := utf8.DecodeRune(c.text[c.passed:])
		switch r {
		case '\r':
			if bytes.HasPrefix(c.text[c.passed:], []byte("\r\n")) {
				n = 2
			}
			fallthrough
		case '\n', '\u0085', '\u2028', '\u2029':
			if c.line == line { // a place after the end of its line
				return c.passed
			}
			c.line, c.column = c.line+1, 1
		default:
			c.column++
		}
		c.passed += n
	}
	return c.passed
}
