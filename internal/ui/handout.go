package ui

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"
	"time"

	"mtlsplan/internal/plan"
)

//go:embed handout.html
var handoutHTML string

// HandoutTemplate is the template of the page for users, as it is without --template.
func HandoutTemplate() string { return handoutHTML }

// handoutFuncs are what templates may call beside what the language has.
var handoutFuncs = template.FuncMap{
	// beginning is as much of a serial or fingerprint as tells two certificates of a user
	// apart, in the form that Chrome lists: without colons.
	"beginning": func(mark string) string {
		digits := strings.ReplaceAll(mark, ":", "")
		return digits[:min(6, len(digits))]
	},
	"lower": strings.ToLower,
}

// HandoutPage makes pages for users. text is a template of the administrator's, in the
// language of package html/template, "" for none; file names it in errors. It may
// define language, title, help and text anew, and what it says outside of definitions
// takes the place of text. What it may name is [plan.HandoutPage].
func HandoutPage(file, text string) (func(plan.HandoutPage) ([]byte, error), error) {
	page, err := template.New("page").Funcs(handoutFuncs).Parse(handoutHTML)
	if err != nil {
		return nil, err
	}
	name := "page"
	if text != "" {
		own, err := page.New(file).Parse(text)
		if err != nil {
			return nil, errors.New(templateFault(err))
		}
		switch {
		case own.Tree == nil || parse.IsEmptyTree(own.Tree.Root):
		case strings.Contains(strings.ToLower(own.Tree.Root.String()), "<html"):
			name = file // a page of its own
		default:
			if _, err := page.AddParseTree("text", own.Tree); err != nil {
				return nil, err
			}
		}
	}
	pageOf := func(p plan.HandoutPage) ([]byte, error) {
		var b bytes.Buffer
		err := page.ExecuteTemplate(&b, name, p)
		return b.Bytes(), err
	}
	for _, sample := range samplePages() {
		if _, err := pageOf(sample); err != nil {
			return nil, errors.New(templateFault(err))
		}
	}
	return func(p plan.HandoutPage) ([]byte, error) {
		html, err := pageOf(p)
		if err != nil {
			return nil, plan.Errorf(plan.FileError, "%s", templateFault(err))
		}
		return html, nil
	}, nil
}

// samplePages are pages on which a template shows whether it can be carried out: that of a
// user whose key is made here, and that of one who has made it. Nothing in them is
// missing, since a template may rely on what all of an administrator's users have.
func samplePages() []plan.HandoutPage {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end := begin.AddDate(1, 0, 0)
	p := plan.HandoutPage{
		Name: "ada", Device: "laptop", CommonName: "ada (laptop)", Email: "ada@example.com", Service: "Example",
		Addresses: []string{"https://chat.example.com/"}, Contact: "help@example.com", Label: "ada (laptop), Example",
		P12: "ada.laptop.p12", Mobileconfig: "ada.laptop.mobileconfig", Sealed: "ada.laptop.pass.age", Open: []string{"age -d ada.laptop.pass.age"}, Modern: true,
		SHA256: "A1:B2", SHA1: "A1:B2", Serial: "A1:B2", NotBefore: begin, NotAfter: end,
		Old: []plan.OldCertificate{{Name: "ada", Serial: "C3:D4", NotAfter: end}, {Name: "ada", Serial: "E5:F6", NotAfter: end, Revoked: true}},
	}
	own := p
	own.Device, own.Mobileconfig, own.Sealed, own.Open, own.Modern, own.Crt = "", "", "", nil, false, "ada.crt"
	return []plan.HandoutPage{p, own}
}

// unknownField is what the library says of a field that a type does not have.
var unknownField = regexp.MustCompile(`: executing .* at <(.*)>: can't evaluate field (\w+) in type (?:\w+\.)?(\w+)$`)

// templateFault is an error of a template without what the library says first. Of a field
// that there is not, it names those that there are.
func templateFault(err error) string {
	text := Clean(err.Error())
	if m := unknownField.FindStringSubmatchIndex(text); m != nil {
		of := map[string]any{"HandoutPage": plan.HandoutPage{}, "OldCertificate": plan.OldCertificate{}}[text[m[6]:m[7]]]
		if of != nil {
			text = fmt.Sprintf("%s: there is no %s; there are %s", text[:m[0]], text[m[2]:m[3]], strings.Join(fieldsOf(of), ", "))
		}
	}
	for _, lead := range []string{"template: ", "html/template:"} {
		text = strings.TrimPrefix(text, lead)
	}
	return text
}

// fieldsOf are the names that a template may use of a value, in their order.
func fieldsOf(v any) (names []string) {
	t := reflect.TypeOf(v)
	for i := range t.NumField() {
		names = append(names, "."+t.Field(i).Name)
	}
	for i := range t.NumMethod() {
		names = append(names, "."+t.Method(i).Name)
	}
	return names
}

// Handout writes what was handed out: a line for each, and where the passphrase is.
func Handout(w io.Writer, h *plan.Handout, path func(string) string) {
	owners, dirs := len("OWNER"), len("DIRECTORY")
	given, secrets, sealed := false, false, false
	for _, d := range h.Done {
		owners, dirs = max(owners, len(Clean(string(d.Owner)))), max(dirs, len(Clean(path(d.Dir))))
		given = given || d.Dir == ""
		own := slices.ContainsFunc(d.Files, func(name string) bool { return strings.HasSuffix(name, "."+plan.KindSealed) })
		sealed = sealed || own
		secrets = secrets || !own && (d.PassphraseFile != "" || d.PassphraseSource != "")
	}
	switch {
	case len(h.Done) == 0:
		if len(h.Failures) == 0 {
			fmt.Fprintln(w, "Nobody waits for a .p12: everybody has been given the newest.")
		}
		return
	case given:
		for _, d := range h.Done {
			fmt.Fprintln(w, Clean(string(d.Owner)))
		}
		fmt.Fprintf(w, "\n%s what the directory holds: remembered.\n", count(len(h.Done), "user has", "users have"))
		return
	}
	fmt.Fprintln(w, pad("OWNER", owners)+gap+pad("DIRECTORY", dirs)+gap+"PASSPHRASE")
	for _, d := range h.Done {
		from := cmp.Or(d.PassphraseSource, "-")
		if d.PassphraseFile != "" {
			from = path(d.PassphraseFile)
		}
		fmt.Fprintln(w, pad(Clean(string(d.Owner)), owners)+gap+pad(Clean(path(d.Dir)), dirs)+gap+Clean(from))
	}
	how := "."
	switch {
	case secrets && sealed:
		how = ", and the passphrase by another way, unless it is in a file ." + plan.KindSealed + " there, which only the user's own key opens."
	case secrets:
		how = ", and the passphrase by another way: it is in none of the files."
	case sealed:
		how = "; the passphrase is in the file ." + plan.KindSealed + " there, which only the user's own key opens."
	}
	fmt.Fprintf(w, "\n%s handed out. Give each user the directory%s\n", count(len(h.Done), "user was", "users were"), how)
}
