package spec

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// What the first row of a CSV list says, or why it is none.

// header reads the first row, and reports whether it is one.
func (t *csvTable) header(in *csv.Reader, cells []string) bool {
	first, _ := t.cellAt(in, cells, 0)
	_, last := t.cellAt(in, cells, len(cells)-1)
	at := t.span(first, last)
	switch {
	case !t.knows(cells) && !foreign(cells) && !t.likely(cells):
		if t.titled() {
			return false
		}
		_, shown := t.cellAt(in, cells, 0)
		name, also := cells[0], ""
		if i := strings.IndexAny(name, ",;\t|"); i >= 0 { // cells of another kind
			also = fmt.Sprintf(" If cells are separated by %s, say that, too: separator = %q.", separated(name[i]), string(name[i]))
			name = name[:i]
			shown = min(shown, first+i)
		}
		t.own.hide(min(shown+1, last), last) // it could be a user
		t.headless(at, cells, name, also)
		return false
	case t.mapped == nil && (fromElsewhere(cells) || !t.knows(cells)):
		t.error(at, "Columns of another program", "These columns have other names than ours: "+theirNames(cells)+". "+mappingAdvice(cells, t.valuesOf(t.comma, cells)))
		return false
	}
	before := len(t.diags)
	for i, name := range cells {
		at := t.span(t.cellAt(in, cells, i))
		of := t.columns(name, at)
		switch {
		case len(of) == 0:
			t.hidden = true
		case slices.Contains(cells[:i], name):
			t.error(at, "Column given twice", fmt.Sprintf("There is already a column %s. Remove one of the two.", name))
			of, t.hidden = nil, true
		}
		t.head = append(t.head, of)
	}
	for _, n := range t.theirs() {
		if !slices.Contains(cells, n.value) {
			t.absent(n, cells, "The list has no column %q.")
		}
	}
	for _, c := range t.where {
		t.must = append(t.must, slices.Index(cells, c.theirs.value))
	}
	if slices.Contains(t.must, -1) || t.mapped != nil && len(t.diags) > before {
		return false
	}
	if t.mapped == nil && !slices.Contains(cells, columns[0].name) {
		t.wrong = true
		if !t.misnamed() {
			t.error(at, "No column of names", "Every user needs a name, in a column called name."+namesElsewhere(cells))
		}
	}
	return true
}

// headless reports a first row that names no columns, as far as one can tell.
func (t *csvTable) headless(at hcl.Range, cells []string, first, also string) {
	if t.mapped != nil {
		var names []string
		for _, n := range t.theirs() {
			names = append(names, n.value)
		}
		t.error(at, "No header row", "The first row must name the columns, and it has none of those that the roster block names: "+theirNames(names)+". Is this the right list, and the whole of it?")
		return
	}
	detail := "The first row must name the columns, as in name,email,passphrase.env, and no column has any of these names. Put such a row before the users." + also
	if !slices.ContainsFunc(cells, isValue) {
		detail += fmt.Sprintf(" If this row names the columns in other words, say in the roster block which is which:\ncolumns = { name = %s }", hclText(cut(first)))
	}
	t.error(at, "No header row", detail)
}

// knows reports whether any of these is a column, of ours or of those that the block
// names.
func (t *csvTable) knows(names []string) bool {
	return t.mapped == nil && known(names) || slices.ContainsFunc(t.theirs(), func(n said[string]) bool { return slices.Contains(names, n.value) })
}

// likely reports whether the first row has names of columns although none is known:
// something about mail, over addresses in the second row.
func (t *csvTable) likely(names []string) bool {
	in := t.reader(t.comma)
	_, _ = in.Read()
	second, err := in.Read()
	if err != nil || len(second) != len(names) || slices.Contains(names, "") || slices.ContainsFunc(names, isValue) {
		return false
	}
	for i, n := range names {
		if strings.Contains(bareName(n), "mail") && strings.Contains(second[i], "@") {
			return true
		}
	}
	return false
}

// misnamed reports whether an unknown column is probably the users' names.
func (t *csvTable) misnamed() bool {
	for name := range t.unknown {
		if name = strings.TrimSpace(name); name == columns[0].name || nearColumn(name) == columns[0].name {
			return true
		}
	}
	return false
}

// known reports whether any of these is a column.
func known(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		n = strings.TrimSpace(n)
		return columnByName[n] != nil || columnByName[strings.ToLower(n)] != nil || hasParts(n)
	})
}
