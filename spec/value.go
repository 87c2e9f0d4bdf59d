package spec

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// value is a literal of a spec, or what a roster says, with its place.
type value struct {
	at      hcl.Range
	kind    kind
	text    string
	number  *big.Float
	yes     bool
	list    []value
	members []member
}

type member struct {
	name  string
	at    hcl.Range
	value value
}

type kind uint8

const (
	text kind = iota
	number
	boolean
	list
	object
	cell // of a roster: text that is read as the kind that is expected
)

func (k kind) String() string {
	return [...]string{"text", "a number", "true or false", "a list", "an object", "text"}[k]
}

var wholeNumber = regexp.MustCompile(`^-?[0-9]{1,18}$`)

// as is v as a value of the kind that is wanted, where v is a cell that can be
// read as such; the items of a list are separated by spaces.
func (v value) as(want kind) value {
	if v.kind != cell {
		return v
	}
	switch {
	case want == boolean && (v.text == "true" || v.text == "false"):
		v.kind, v.yes = boolean, v.text == "true"
	case want == number && wholeNumber.MatchString(v.text):
		n, _ := strconv.ParseInt(v.text, 10, 64)
		v.kind, v.number = number, new(big.Float).SetInt64(n)
	case want == list:
		v.kind = list
		for word := range strings.FieldsSeq(v.text) {
			v.list = append(v.list, value{at: v.at, kind: cell, text: word})
		}
	}
	return v
}

// literal reads a plain value. An expression that would have to be computed is a problem.
// No problem quotes the expression, which could be a secret.
func (l *loader) literal(expr hclsyntax.Expression) (value, bool) {
	v := value{at: expr.Range()}
	if unparsed(expr) {
		return v, false
	}
	switch e := expr.(type) {
	case *hclsyntax.ParenthesesExpr:
		return l.literal(e.Expression)
	case *hclsyntax.LiteralValueExpr:
		return l.constant(e)
	case *hclsyntax.UnaryOpExpr:
		if e.Op == hclsyntax.OpNegate {
			if unparsed(e.Val) {
				return v, false
			}
			n, ok := e.Val.(*hclsyntax.LiteralValueExpr)
			if ok && n.Val.Type() == cty.Number && !n.Val.IsNull() {
				v.kind, v.number = number, new(big.Float).Neg(n.Val.AsBigFloat())
				return v, true
			}
		}
	case *hclsyntax.TemplateExpr:
		return l.quoted(e)
	case *hclsyntax.TemplateWrapExpr:
		l.template(e.Range())
		return v, false
	case *hclsyntax.TupleConsExpr:
		return l.elements(e)
	case *hclsyntax.ObjectConsExpr:
		return l.object(e)
	case *hclsyntax.ScopeTraversalExpr:
		l.error(v.at, "Text without quotes",
			`A bare word would be a variable, and a spec has none. Put text in double quotes; true and false go without, and no other word means them.`)
		return v, false
	case *hclsyntax.FunctionCallExpr:
		l.error(v.at, "Function in a spec",
			`A spec has no functions. Write the result instead.`)
		return v, false
	}
	l.error(v.at, "Not a plain value",
		`A value is text in double quotes, a number, true, false or a list of those; nothing is computed. Write the result instead.`)
	return v, false
}

// unparsed reports whether the parser could not read an expression, and said
// so.
func unparsed(expr hclsyntax.Expression) bool {
	switch e := expr.(type) {
	case *hclsyntax.ExprSyntaxError:
		return true
	case *hclsyntax.LiteralValueExpr:
		return !e.Val.IsKnown()
	}
	return false
}

func (l *loader) constant(e *hclsyntax.LiteralValueExpr) (value, bool) {
	v := value{at: e.Range()}
	switch {
	case e.Val.IsNull():
		l.error(v.at, "No value", `A spec has no null. To keep the default of an attribute, leave the attribute out.`)
		return v, false
	case e.Val.Type() == cty.Bool:
		v.kind, v.yes = boolean, e.Val.True()
	case e.Val.Type() == cty.Number:
		v.kind, v.number = number, e.Val.AsBigFloat()
	case e.Val.Type() == cty.String:
		v.kind, v.text = text, e.Val.AsString()
	default:
		return v, false
	}
	return v, true
}

func (l *loader) quoted(e *hclsyntax.TemplateExpr) (value, bool) {
	v := value{at: e.Range(), kind: text}
	var b strings.Builder
	for _, part := range e.Parts {
		lit, ok := part.(*hclsyntax.LiteralValueExpr)
		if !ok || lit.Val.Type() != cty.String {
			l.template(part.Range())
			return v, false
		}
		b.WriteString(lit.Val.AsString())
	}
	v.text = b.String()
	return v, true
}

func (l *loader) template(at hcl.Range) {
	text := l.src.files[l.cfg.File].text
	if start := at.Start.Byte - 2; start >= 0 && text[start+1] == '{' { // of a part in a longer text, the parser gives the inside
		at.Start.Byte, at.Start.Column = start, at.Start.Column-2
		if at.End.Byte < len(text) && text[at.End.Byte] == '}' {
			at.End.Byte, at.End.Column = at.End.Byte+1, at.End.Column+1
		}
	}
	l.error(at, "Template in a spec",
		`"${" and "%{" begin a template, and a spec has no variables to fill in. Write the text out; if the characters themselves are meant, write "$${" or "%%{".`)
}

func (l *loader) elements(e *hclsyntax.TupleConsExpr) (value, bool) {
	v := value{at: e.Range(), kind: list}
	good := true
	for _, expr := range e.Exprs {
		element, ok := l.literal(expr)
		good = good && ok
		v.list = append(v.list, element)
	}
	return v, good
}

func (l *loader) object(e *hclsyntax.ObjectConsExpr) (value, bool) {
	v := value{at: e.Range(), kind: object}
	good := true
	for _, item := range e.Items {
		m := member{at: item.KeyExpr.Range()}
		if key, ok := item.KeyExpr.(*hclsyntax.ObjectConsKeyExpr); ok {
			m.name = memberName(key)
		}
		if m.name == "" {
			l.error(m.at, "Not a name", `Expected a plain name to the left of "=". Put one with a dot or a space in double quotes.`)
			good = false
		}
		var ok bool
		m.value, ok = l.literal(item.ValueExpr)
		good = good && ok
		v.members = append(v.members, m)
	}
	return v, good
}

func memberName(key *hclsyntax.ObjectConsKeyExpr) string {
	if name := hcl.ExprAsKeyword(key); name != "" {
		return name
	}
	if t, ok := key.Wrapped.(*hclsyntax.TemplateExpr); ok && len(t.Parts) == 1 {
		if lit, ok := t.Parts[0].(*hclsyntax.LiteralValueExpr); ok && lit.Val.Type() == cty.String {
			return lit.Val.AsString()
		}
	}
	return ""
}
