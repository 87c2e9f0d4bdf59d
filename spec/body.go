package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"mtlsplan/render/proxies"

	"mtlsplan/internal/config"
)

// rows are the attributes of each kind of block by their names.
var rows = func() map[scope]map[string]*attribute {
	out := map[scope]map[string]*attribute{}
	for s := inFile; s < inSite; s <<= 1 {
		out[s] = map[string]*attribute{}
		for i := range attributes {
			if attributes[i].in&s != 0 {
				out[s][attributes[i].name] = &attributes[i]
			}
		}
	}
	return out
}()

func attributeNames(s scope) []string {
	var names []string
	for _, a := range attributes {
		if a.in&s != 0 {
			names = append(names, a.name)
		}
	}
	return names
}

// blockNames are the blocks that may be in s. In a file, those of the proxies
// are among them.
func blockNames(s scope) []string {
	var names []string
	for _, b := range blocks {
		if b.in&s != 0 {
			names = append(names, b.name)
		}
	}
	if s == inFile {
		for _, p := range proxies.All {
			names = append(names, p.Name)
		}
	}
	return names
}

// topLevel are the blocks of a file.
var topLevel = blockNames(inFile)

// title names a kind of block at the beginning of a sentence.
func (s scope) title() string {
	for _, b := range blocks {
		if b.is == s {
			return "A " + b.name + " block"
		}
	}
	return "A spec"
}

// readAttributes reads those of one body.
func (l *loader) readAttributes(body *hclsyntax.Body, to target) {
	for name, attr := range body.Attributes {
		if row := rows[to.in][name]; row != nil {
			l.readAttribute(row, attr, to)
		} else {
			l.unknownAttribute(attr, to.in.title(), attributeNames(to.in), blockNames(to.in))
		}
	}
}

// readBlock reads a body with the subject and crl blocks in it.
func (l *loader) readBlock(body *hclsyntax.Body, to target) {
	l.readAttributes(body, to)
	if len(body.Blocks) == 0 {
		return
	}
	for name, in := range l.inner(body, to.in.title(), attributeNames(to.in), blockNames(to.in)) {
		switch name {
		case "subject":
			l.readBlock(in.Body, to.subject())
		case "crl":
			l.readBlock(in.Body, to.ca.crl.target())
		}
	}
}

func (l *loader) readAttribute(row *attribute, attr *hclsyntax.Attribute, to target) {
	if row.secret && !l.secretShape(row, attr.Expr) {
		return
	}
	if v, ok := l.literal(attr.Expr); ok {
		row.read(l, to, v)
	}
}

const secretInSpec = "Secret in a spec"

// secretShape reports whether the value of a secret's attribute at least looks
// like a source of one. Everything else is hidden.
func (l *loader) secretShape(row *attribute, expr hclsyntax.Expression) bool {
	l.hideUnlessPlace(expr)
	if _, ok := expr.(*hclsyntax.ObjectConsExpr); ok {
		return true
	}
	if !unparsed(expr) {
		l.error(expr.Range(), secretInSpec,
			"A spec never holds a secret: it is copied, printed and kept under version control. Say where the secret is: "+forms(row)+".")
	}
	return false
}

func (l *loader) hideUnlessPlace(expr hclsyntax.Expression) {
	at := expr.Range()
	if at.End.Byte <= at.Start.Byte { // of what could not be parsed
		return
	}
	if text := l.src.files[l.cfg.File].text; isPlace(text[at.Start.Byte:at.End.Byte]) == 0 {
		l.src.hide(at)
	}
}

func forms(row *attribute) string {
	if row.name == "challenge_password" {
		return secretForms
	}
	return secretForms + "; or have one made with { generate = true }"
}

func (l *loader) unknownAttribute(attr *hclsyntax.Attribute, what string, attrs, blocks []string) {
	if looksSecret([]byte(attr.Name+" = x")) != nil || slices.ContainsFunc(secretAttributes(), func(n string) bool { return suggest(attr.Name, []string{n}) != "" }) {
		l.hideUnlessPlace(attr.Expr)
	}
	if slices.Contains(blocks, attr.Name) {
		l.error(attr.NameRange, "Block with an equals sign", fmt.Sprintf(`%s is a block. Write %s, without "=".`, attr.Name, example(attr.Name)))
		return
	}
	l.error(attr.NameRange, "Unknown attribute", fmt.Sprintf("%s has no attribute %q. %s", what, attr.Name, whereElse(attr.Name, attrs)))
}

// whereElse is [didYouMean] for an attribute that may have its place in another
// kind of block.
func whereElse(name string, attrs []string) string {
	var homes []string
	for _, b := range blocks {
		if rows[b.is][name] != nil {
			homes = append(homes, b.name)
		}
	}
	for _, p := range proxies.All {
		if slices.Contains(rowNames(p.Attributes), name) {
			homes = append(homes, p.Name)
		}
	}
	if len(homes) == 0 || suggest(name, attrs) != "" {
		return didYouMean(name, attrs)
	}
	return "It belongs in one of these blocks: " + strings.Join(homes, ", ") + "."
}

func secretAttributes() []string {
	var names []string
	for _, a := range attributes {
		if a.secret {
			names = append(names, a.name)
		}
	}
	return names
}

func (l *loader) unknownBlock(b *hclsyntax.Block, what string, attrs, blocks []string) {
	switch {
	case slices.Contains(attrs, b.Type):
		l.error(b.TypeRange, "Attribute without an equals sign", fmt.Sprintf(`%s is an attribute. Write "=" after it.`, b.Type))
	case len(blocks) == 0:
		l.error(b.TypeRange, "Unknown block", what+" takes no blocks.")
	default:
		l.error(b.TypeRange, "Unknown block", fmt.Sprintf("%s has no block %q. %s", what, b.Type, didYouMean(b.Type, blocks)))
	}
}

// example shows how a block begins.
func example(name string) string {
	for _, b := range blocks {
		if b.name == name && !b.labeled {
			return name + " { … }"
		}
	}
	for _, p := range proxies.All {
		for _, b := range p.Blocks {
			if b.Name == name {
				return name + " { … }"
			}
		}
	}
	return name + ` "NAME" { … }`
}

// inner returns the blocks in a body by their types, the first of each type,
// and reports the others.
func (l *loader) inner(body *hclsyntax.Body, what string, attrs, names []string) map[string]*hclsyntax.Block {
	if len(body.Blocks) == 0 {
		return nil
	}
	found := map[string]*hclsyntax.Block{}
	for _, b := range body.Blocks {
		switch {
		case !slices.Contains(names, b.Type):
			l.unknownBlock(b, what, attrs, names)
		case found[b.Type] != nil:
			l.secondBlock(b, found[b.Type])
		default:
			l.noLabel(b)
			found[b.Type] = b
		}
	}
	return found
}

func (l *loader) secondBlock(b, first *hclsyntax.Block) {
	l.error(b.DefRange(), "Block given twice",
		fmt.Sprintf("There is one already, %s, and there can be only one. Move the content of this one there.", place(first.TypeRange)))
}

func (l *loader) noLabel(b *hclsyntax.Block) {
	if len(b.LabelRanges) > 0 {
		l.error(b.LabelRanges[0], "Unexpected name", fmt.Sprintf("A block of this kind has no name: %s.", example(b.Type)))
	}
}

// label reads the one name that a block has. Seen are the names of the other
// blocks of the same type, in lower case.
func (l *loader) label(b *hclsyntax.Block, seen map[string]hcl.Range) (string, bool) {
	switch {
	case len(b.Labels) == 0:
		l.error(b.TypeRange, "Missing name", fmt.Sprintf("This block needs a name after its type: %s.", example(b.Type)))
		return "", false
	case len(b.Labels) > 1:
		l.error(b.LabelRanges[1], "More than one name", fmt.Sprintf("This block takes exactly one name: %s.", example(b.Type)))
		return "", false
	case !l.claim(b.Labels[0], b.LabelRanges[0], "block", seen):
		return "", false
	}
	return b.Labels[0], true
}

// claim reports whether a name can be given to a block or user.
func (l *loader) claim(name string, at hcl.Range, what string, seen map[string]hcl.Range) bool {
	if !config.ValidName(name) {
		detail := `A name becomes part of file names. Use at most 64 characters from A-Z, a-z, 0-9 and . _ @ + -, and begin with a letter, a digit or "_".`
		if what == "user" {
			detail += ` Correct it in the list. Of a list that another program writes, take a column with such names, as addresses are, with columns = { name = "…" } in the roster block, or leave such rows out with where.`
		}
		l.error(at, "Unusable name", detail)
		return false
	}
	key := strings.ToLower(name)
	if first, taken := seen[key]; taken && l.onDevice[key] == first {
		l.error(at, "Name used twice",
			fmt.Sprintf("The device %s has files of this name, %q. Give the user another name, one that differs in more than upper and lower case.", place(first), key))
		return false
	} else if taken {
		l.error(at, "Name used twice",
			fmt.Sprintf("The %s %s already has this name. Files are named after it, so names must differ in more than upper and lower case.", what, place(first)))
		return false
	}
	seen[key] = at
	return true
}
