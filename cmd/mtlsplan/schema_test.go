package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/invopop/jsonschema"

	"mtlsplan/internal/doctor"
	"mtlsplan/internal/plan"
)

// documents are all documents that commands print with --format json or yaml. The schema of
// each is docs/schema/NAME.json.
var documents = []struct {
	name  string // of the command, except for "error", "visit" and "saved", the file of plan --out
	value any
}{
	{"plan", plan.PlanDocument{}},
	{"saved", plan.SavedPlan{}},
	{"apply", plan.ApplyDocument{}},
	{"status", plan.StatusDocument{}},
	{"show", plan.ShowDocument{}},
	{"explain", plan.ExplainDocument{}},
	{"forecast", plan.ForecastDocument{}},
	{"report", plan.ReportDocument{}},
	{"handout", plan.HandoutDocument{}},
	{"request", plan.RequestDocument{}},
	{"bundle", plan.BundleDocument{}},
	{"verify", plan.ChecksDocument{}},
	{"render", plan.RenderDocument{}},
	{"doctor", plan.ChecksDocument{}},
	{"try", plan.TryDocument{}},
	{"visit", plan.VisitDocument{}},
	{"validate", plan.ValidateDocument{}},
	{"fmt", plan.FmtDocument{}},
	{"init", plan.InitDocument{}},
	{"version", plan.VersionDocument{}},
	{"error", plan.ErrorDocument{}},
}

// enums are the values that a key may have, by type and key, if the program has a table of
// them.
var enums = map[string]map[string][]string{
	"VisitDocument":    {"code": codesIn(plan.VisitCodes())},
	"Step":             {"action": texts(plan.Actions)},
	"Reason":           {"code": codesIn(plan.Codes())},
	"Note":             {"code": codesIn(plan.NoteCodes())},
	"Failure":          {"code": codesIn(plan.FailureCodes())},
	"Check":            {"code": append(codesIn(plan.CheckCodes(), plan.ProxyCodes(), plan.Codes(), plan.FailureCodes()), string(plan.ClockBehind))},
	"ErrorDetail":      {"code": codesIn(plan.ErrorCodes(), plan.FailureCodes())},
	"FileDetail":       {"state": wordsIn(plan.FileStates())},
	"OwnerStatus":      {"state": wordsIn(plan.States())},
	"DeploymentStatus": {"state": wordsIn(plan.DeploymentStates())},
	"NextEvent":        {"event": wordsIn(plan.Events())},
	"Event":            {"event": wordsIn(plan.Events()), "action": texts(plan.Actions)},
	"Answer":           {"code": codesIn(plan.Codes())},
	"ExplainDocument":  {"state": wordsIn(plan.States())},
	"FileFact":         {"name": wordsIn(plan.FactNames())},
}

func texts[T ~string](words []T) (out []string) {
	for _, w := range words {
		out = append(out, string(w))
	}
	return out
}

func codesIn(tables ...[]plan.CodeDoc) (out []string) {
	for _, c := range slices.Concat(tables...) {
		out = append(out, string(c.Code))
	}
	return out
}

func wordsIn(table []plan.Word) (out []string) {
	for _, w := range table {
		out = append(out, w.Name)
	}
	return out
}

// schemaOf makes a document's schema from its type. The descriptions are the comments in the
// source; they are absent where the source is missing.
func schemaOf(name string, value any) *jsonschema.Schema {
	r := &jsonschema.Reflector{Anonymous: true, ExpandedStruct: true, Mapper: mappedSchema}
	if source := filepath.Join(repo, "internal", "plan"); isDir(source) {
		if err := r.AddGoComments(module+"cmd/mtlsplan", source, jsonschema.WithFullComment()); err != nil {
			panic(err)
		}
	}
	for key, text := range r.CommentMap {
		r.CommentMap[key] = described(key, text)
	}
	s := r.Reflect(value)
	s.Title = "mtlsplan " + name
	version, _ := s.Properties.Get("format_version")
	version.Const = plan.FormatVersion
	version.Description = "Version of the format. It rises when a key is removed or changes its meaning, not when one is added."
	for _, property := range s.Properties.FromOldest() {
		if len(property.OneOf) == 2 { // nullable: the library describes the first of the two
			property.Description, property.OneOf[0].Description = property.OneOf[0].Description, ""
		}
	}
	for typ, keys := range enums {
		def := s.Definitions[typ]
		if typ == reflect.TypeOf(value).Name() {
			def = s
		}
		for key, words := range keys {
			if def == nil {
				continue
			}
			property, _ := def.Properties.Get(key)
			for _, w := range words {
				property.Enum = append(property.Enum, w)
			}
		}
	}
	return s
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// mappedSchema has the schemas of types that say more than their kinds.
func mappedSchema(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[plan.Owner]():
		return &jsonschema.Schema{Type: "string", Pattern: `^[a-z]+\..+$`}
	case reflect.TypeFor[plan.Summary]():
		s := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema,
			Required: []string{"unchanged", "reimports"}}
		for _, key := range append(texts(plan.Actions), s.Required...) {
			s.Properties.Set(key, &jsonschema.Schema{Type: "integer", Minimum: "0"})
		}
		return s
	}
	return nil
}

// described makes a description of a Go comment: on one line, and without the name of the
// type, with which it begins.
func described(key, comment string) string {
	text := strings.TrimPrefix(strings.Join(strings.Fields(comment), " "), key[strings.LastIndex(key, ".")+1:]+" is ")
	first, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[n:]
}

// TestDocsSchemas compares docs/schema with the types of the documents. With MTLSPLAN_UPDATE
// it writes the schemas from the types.
func TestDocsSchemas(t *testing.T) {
	dir := filepath.Join(repo, "docs", "schema")
	update := os.Getenv("MTLSPLAN_UPDATE") != ""
	var names []string
	for _, d := range documents {
		names = append(names, d.name+".json")
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		schema := schemaOf(d.name, d.value)
		if err := enc.Encode(schema); err != nil {
			t.Fatal(err)
		}
		for typ, def := range schema.Definitions {
			undescribed(t, typ, def)
		}
		undescribed(t, d.name, schema)
		path := filepath.Join(dir, d.name+".json")
		if update {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, want.Bytes()) {
			t.Errorf("docs/schema/%s.json is stale; run\n\t%s", d.name, refresh)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(names, f.Name()) {
			t.Errorf("docs/schema/%s belongs to no document", f.Name())
		}
	}
}

func undescribed(t *testing.T, name string, s *jsonschema.Schema) {
	t.Helper()
	if s.Description == "" {
		t.Errorf("%s has no description", name)
	}
	for key, property := range s.Properties.FromOldest() {
		if property.Description == "" && property.Ref == "" {
			t.Errorf("%s: %s has no description", name, key)
		}
		if !keyForm.MatchString(key) {
			t.Errorf("%s: the key %q is not lower_snake_case", name, key)
		}
	}
}

// documentDocs is the reference of the documents, made from their schemas.
func documentDocs(p page) {
	p.heading(2, "JSON and YAML")
	p.para("With `--format json` or `--format yaml` every answer is one document, an error too. Both formats have the same keys. " +
		"`format_version` is 1; it rises when a key is removed or changes its meaning, not when one is added. Times are RFC 3339 in UTC. Lists are never null. " +
		"The JSON Schemas in `docs/schema` describe the documents of this version to the letter. `help` and `completion` answer with text.")
	p.para("A run that ends with an error prints one document: its own, with the key `error`, once it has one (`apply` stopped half-way, `fmt`), else the document called error below. " +
		"`validate` has its own for an invalid spec, and a plan that is refused or incomplete is no error: the exit status says so. " +
		"Standard error then has one line for each error, for a log, and the failures of single owners.")
	var types []string
	defs := map[string]*jsonschema.Schema{}
	for _, d := range documents {
		s := schemaOf(d.name, d.value)
		p.heading(3, "Document: "+d.name)
		schemaTable(p, s, &types)
		for name, def := range s.Definitions {
			defs[name] = def
		}
	}
	for i := 0; i < len(types); i++ { // a type comes before the types that it names
		p.heading(3, "Type: "+types[i])
		schemaTable(p, defs[types[i]], &types)
		switch types[i] {
		case "FileDetail":
			wordTable(p, "state", plan.FileStates())
		case "OwnerStatus":
			wordTable(p, "state", plan.States())
		case "DeploymentStatus":
			wordTable(p, "state", plan.DeploymentStates())
		case "NextEvent":
			wordTable(p, "event", plan.Events())
		case "FileFact":
			wordTable(p, "name", plan.FactNames())
		case "Check":
			var checks []plan.Word
			for _, r := range doctor.Rules() {
				checks = append(checks, plan.Word{Name: r.Name, Doc: r.Doc})
			}
			wordTable(p, "check of verify", plan.CheckNames())
			wordTable(p, "check of doctor", checks)
			codeTable(p, append(slices.Clone(plan.CheckCodes()), plan.ProxyCodes()...))
		}
	}
}

// schemaTable writes the keys of an object, and adds the types that they name.
func schemaTable(p page, s *jsonschema.Schema, types *[]string) {
	p.para(s.Description)
	var rows [][]string
	for key, property := range s.Properties.FromOldest() {
		if key == "format_version" {
			continue // described once, for all documents
		}
		form, doc := formOf(property, types), property.Description
		if !slices.Contains(s.Required, key) {
			form += ", optional"
		}
		rows = append(rows, []string{key, form, doc})
	}
	p.table([]string{"key", "form", "meaning"}, rows)
}

// formOf describes a value's form in a word or two.
func formOf(s *jsonschema.Schema, types *[]string) string {
	switch {
	case s.Ref != "":
		name := s.Ref[strings.LastIndex(s.Ref, "/")+1:]
		if !slices.Contains(*types, name) {
			*types = append(*types, name)
		}
		return name
	case len(s.OneOf) == 2: // nullable
		return formOf(s.OneOf[0], types) + " or null"
	case s.Type == "array":
		return "list of " + formOf(s.Items, types)
	case s.Format == "date-time":
		return "time"
	}
	return fmt.Sprint(s.Type)
}

func wordTable(p page, key string, words []plan.Word) {
	var rows [][]string
	for _, w := range words {
		rows = append(rows, []string{w.Name, w.Doc})
	}
	p.table([]string{key, "meaning"}, rows)
}
