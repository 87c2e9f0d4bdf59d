package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// docBlock is a block of code in a page, or a setup that readers do not see.
type docBlock struct {
	line   int    // of its first line of text, from 1
	lang   string // of the fence; "indented", "setup"
	text   string
	notRun string // why no test runs it
	file   string // it is the content of this file
	adds   bool   // it is put at the end of the file
	exit   int    // with which the last command ends
	fresh  bool   // a new machine begins before it
}

// docPage is what tests need of a page of the documentation.
type docPage struct {
	text   string
	blocks []docBlock
	spans  []docSpan
}

// docSpan is `code` in a sentence.
type docSpan struct {
	line int
	text string
}

var (
	docDirective = regexp.MustCompile(`^<!-- (page not run|not run|file|append|exit|fresh|setup)\b:? ?(.*)$`)
	docFence     = regexp.MustCompile("^( *)```(.*)$")
	docListItem  = regexp.MustCompile(`^ {0,3}([-*+]|\d+[.)]) `)
	docSpanText  = regexp.MustCompile("`([^`]+)`")
)

// readDoc finds the blocks of a page and what comments say of them, which
// CONTRIBUTING.md lists.
func readDoc(text string) (docPage, error) {
	page := docPage{text: text}
	lines := strings.Split(text, "\n")
	var next docBlock // what comments have said of the block to come
	whole := ""       // why the whole page is not run
	inList := false
	take := func(b docBlock) {
		b.notRun, b.file, b.adds, b.exit, b.fresh = next.notRun, next.file, next.adds, next.exit, next.fresh
		if b.notRun == "" {
			b.notRun = whole
		}
		page.blocks, next = append(page.blocks, b), docBlock{}
	}
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch fence := docFence.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "<!--"):
			at := i
			inList = false
			for !strings.Contains(lines[i], "-->") {
				if i++; i == len(lines) {
					return page, fmt.Errorf("line %d: the comment has no end", at+1)
				}
			}
			d := docDirective.FindStringSubmatch(strings.TrimSpace(strings.TrimSuffix(line, "-->")))
			if d == nil {
				continue
			}
			switch word, value := d[1], strings.TrimSpace(d[2]); word {
			case "page not run":
				whole = value
			case "not run":
				next.notRun = value
			case "file", "append":
				next.file, next.adds = value, word == "append"
			case "exit":
				if _, err := fmt.Sscan(value, &next.exit); err != nil {
					return page, fmt.Errorf("line %d: the exit code: %v", at+1, err)
				}
			case "fresh":
				next.fresh = true
			case "setup":
				pending := next
				next = docBlock{fresh: pending.fresh, notRun: pending.notRun}
				if value == "" {
					value = strings.Join(lines[at+1:i], "\n")
				}
				take(docBlock{line: at + 1, lang: "setup", text: value + "\n"})
				next = docBlock{file: pending.file, adds: pending.adds, exit: pending.exit}
			}
		case fence != nil:
			at := i + 1
			for i++; i < len(lines) && !strings.HasPrefix(strings.TrimLeft(lines[i], " "), "```"); i++ {
			}
			if i >= len(lines) {
				return page, fmt.Errorf("line %d: the block has no end", at)
			}
			var text strings.Builder
			for _, l := range lines[at:i] {
				text.WriteString(strings.TrimPrefix(l, fence[1]) + "\n")
			}
			take(docBlock{line: at + 1, lang: strings.TrimSpace(fence[2]), text: text.String()})
		case strings.HasPrefix(line, "    ") && !inList:
			at := i
			var text strings.Builder
			for ; i < len(lines) && (strings.HasPrefix(lines[i], "    ") || lines[i] == "" && i+1 < len(lines) && strings.HasPrefix(lines[i+1], "    ")); i++ {
				text.WriteString(strings.TrimPrefix(lines[i], "    ") + "\n")
			}
			i--
			take(docBlock{line: at + 1, lang: "indented", text: text.String()})
		default:
			switch {
			case docListItem.MatchString(line):
				inList = true
			case line != "" && !strings.HasPrefix(line, " "):
				// The lines of a paragraph in a list may begin where they like.
				inList = inList && i > 0 && lines[i-1] != ""
			}
			for _, s := range docSpanText.FindAllStringSubmatch(line, -1) {
				page.spans = append(page.spans, docSpan{i + 1, s[1]})
			}
		}
	}
	if next != (docBlock{}) {
		return page, fmt.Errorf("a comment at the end speaks of a block that does not come")
	}
	return page, nil
}

// docCommand is what a reader types, and what the page shows below it.
type docCommand struct {
	line   int
	typed  string
	output string // "" is not compared
	exit   int
}

// commands are those of a block, in order. None are those of a file, or of a language that
// is none of the shell's.
func (b docBlock) commands() []docCommand {
	if b.file != "" {
		return nil
	}
	var all []docCommand
	lines := strings.SplitAfter(b.text, "\n")
	switch b.lang {
	case "setup", "sh", "shell", "bash":
		all = []docCommand{{line: b.line, typed: b.text}}
	case "console":
		for i, line := range lines {
			typed, ok := strings.CutPrefix(line, "$ ")
			switch {
			case ok:
				all = append(all, docCommand{line: b.line + i, typed: typed})
			case len(all) == 0:
			case strings.HasPrefix(line, "> ") && all[len(all)-1].output == "":
				all[len(all)-1].typed += strings.TrimPrefix(line, "> ")
			default:
				all[len(all)-1].output += line
			}
		}
	case "indented":
		more := false // the command before goes on
		for i, line := range lines {
			if more || strings.HasPrefix(line, " ") && len(all) > 0 {
				all[len(all)-1].typed += line
			} else if strings.TrimSpace(line) != "" {
				all = append(all, docCommand{line: b.line + i, typed: line})
			}
			more = strings.HasSuffix(line, "\\\n")
		}
	}
	if len(all) > 0 {
		all[len(all)-1].exit = b.exit
	}
	return all
}

// shellWords are the words of the first simple command of a text, and what is behind it.
// It knows quotes and operators; what the shell would expand stays as it is.
func shellWords(text string) (words []string, rest string) {
	var word strings.Builder
	in := false // a word has begun
	end := func() {
		if in {
			words = append(words, word.String())
			word.Reset()
			in = false
		}
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			if i++; text[i] != '\n' {
				word.WriteByte(text[i])
				in = true
			}
		case c == '\'' || c == '"':
			n := strings.IndexByte(text[i+1:], c)
			if n < 0 {
				n = len(text) - i - 1
			}
			word.WriteString(text[i+1 : i+1+n])
			i += n + 1
			in = true
		case c == ' ' || c == '\t':
			end()
		case c == '#' && !in:
			end()
			_, rest, _ = strings.Cut(text[i:], "\n")
			return words, rest
		case strings.IndexByte("\n;|&<>()`", c) >= 0:
			if in && strings.IndexByte("<>", c) >= 0 && strings.Trim(word.String(), "0123456789") == "" {
				word.Reset() // the number of a file, as in 2>
				in = false
			}
			end()
			return words, text[i+1:]
		default:
			word.WriteByte(c)
			in = true
		}
	}
	end()
	return words, ""
}

// programLines are the arguments of mtlsplan wherever a text calls it.
func programLines(text string) [][]string {
	var all [][]string
	for text != "" {
		var words []string
		words, text = shellWords(text)
		at := slices.IndexFunc(words, func(w string) bool {
			return slices.Contains([]string{"mtlsplan", "./mtlsplan", "./cmd/mtlsplan", "/usr/bin/mtlsplan", "/usr/local/bin/mtlsplan"}, w)
		})
		if at >= 0 && at+1 < len(words) {
			all = append(all, words[at+1:])
		}
	}
	return all
}
