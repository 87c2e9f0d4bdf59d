package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/rogpeppe/go-internal/testscript"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"mtlsplan/internal/plan"
	"mtlsplan/internal/testing/tools"
	"mtlsplan/internal/ui"
)

// answersVar names the file to which the program of scripts adds its answers.
const answersVar = "MTLSPLAN_TEST_ANSWERS"

// printed is a line of that file: what a run printed, if all of it was accepted, and the file
// that plan --out wrote.
type printed struct {
	Args        []string
	Text, Saved []byte
}

// checkAnswers checks each document of a file of answers against its schema.
func checkAnswers(text []byte) error {
	var faults []error
	for lines := json.NewDecoder(bytes.NewReader(text)); ; {
		var a printed
		if err := lines.Decode(&a); err == io.EOF {
			return errors.Join(faults...)
		} else if err != nil {
			return errors.Join(append(faults, err)...)
		}
		if err := a.check(); err != nil {
			faults = append(faults, fmt.Errorf("mtlsplan %s: %w", strings.Join(a.Args, " "), err))
		}
	}
}

func (a printed) check() error {
	var err error
	switch format := formatIn(a.Args); {
	case a.Text == nil || !answersWithDocument(a.Args):
	case judges[format] != nil:
		err = checkAnswer(format, a.Text)
	default:
		err = checkDocument(a.Args, a.Text)
	}
	if a.Saved == nil {
		return err
	}
	document, bad := validator.UnmarshalJSON(bytes.NewReader(a.Saved))
	if bad == nil {
		bad = errors.Join(checkWords("", document), checkSchema("saved", document))
	}
	return errors.Join(err, bad)
}

// watchDocuments fails a script in which a document does not match its schema, whatever
// exit code it expects.
func watchDocuments(env *testscript.Env) {
	file := filepath.Join(filepath.Dir(env.WorkDir), filepath.Base(env.WorkDir)+".answers")
	env.Setenv(answersVar, file)
	env.Defer(func() {
		text, err := os.ReadFile(file)
		if err == nil {
			err = checkAnswers(text)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			env.T().Fatal("documents:\n" + err.Error())
		}
	})
}

func answersWithDocument(args []string) bool {
	format := formatIn(args)
	return (format == "json" || format == "yaml" || judges[format] != nil) && !slices.ContainsFunc(args, func(arg string) bool {
		return slices.Contains([]string{"help", "completion", "__complete", "--help", "-h"}, arg)
	})
}

// judges are programs and libraries of others that read what has no schema of ours.
var judges = map[string]func(text []byte) error{
	"csv": func(text []byte) error {
		_, err := csv.NewReader(bytes.NewReader(text)).ReadAll() // with as many cells in each row
		return err
	},
	"ics": func(text []byte) error {
		calendar, err := ics.ParseCalendar(bytes.NewReader(text))
		if err != nil {
			return err
		}
		for _, e := range calendar.Events() {
			if _, err := e.GetAllDayStartAt(); err != nil || e.Id() == "" {
				return fmt.Errorf("an event without a UID, or without a day: %w", err)
			}
		}
		return nil
	},
	"prometheus": func(text []byte) error {
		judge := exec.Command("promtool", "check", "metrics")
		judge.Stdin = bytes.NewReader(text)
		said, err := judge.CombinedOutput()
		if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("promtool: %w: %s", err, said)
		}
		return nil
	},
}

// checkAnswer has an answer judged. A run that fails, or writes a file, prints none.
func checkAnswer(format string, text []byte) error {
	if len(text) == 0 {
		return nil
	}
	return judges[format](text)
}

// checkDocument checks the standard output of a run against the schema of its command, or
// that of errors.
func checkDocument(args []string, text []byte) error {
	if len(text) == 0 {
		if slices.Contains(args, "-q") || slices.Contains(args, "--quiet") {
			return nil
		}
		return errors.New("it printed no document")
	}
	if formatIn(args) == "yaml" {
		var v any
		if err := yaml.Unmarshal(text, &v); err != nil {
			return err
		}
		var err error
		if text, err = json.Marshal(v); err != nil {
			return err
		}
	}
	document, err := validator.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	if err := checkWords("", document); err != nil {
		return err
	}
	return checkSchema(schemaFor(args, document), document)
}

// schemaFor names the schema of a document.
func schemaFor(args []string, document any) string {
	if keys, ok := document.(map[string]any); ok && len(keys) == 2 && keys["error"] != nil {
		return "error"
	}
	if slices.Contains(args, "--version") {
		return "version"
	}
	cmd, _, err := documentedRoot().Find(args)
	if err != nil {
		return "error"
	}
	return cmd.Name()
}

func checkSchema(name string, document any) error {
	for _, d := range documents {
		if d.name != name {
			continue
		}
		text, err := json.Marshal(schemaOf(d.name, d.value))
		if err != nil {
			return err
		}
		schema, err := validator.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return err
		}
		c := validator.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource(name, schema); err != nil {
			return err
		}
		compiled, err := c.Compile(name)
		if err != nil {
			return err
		}
		return compiled.Validate(document)
	}
	return fmt.Errorf("there is no schema for the answer of %s", name)
}

var (
	keyForm  = regexp.MustCompile(`^[a-z0-9_]+$`)
	codeForm = regexp.MustCompile(`^[a-z0-9-]+$`)
)

// checkWords checks the form of keys, codes and names of facts: none is an English
// sentence.
func checkWords(at string, v any) error {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			if err := checkWords(fmt.Sprintf("%s[%d]", at, i), item); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, value := range v {
			here := at + "." + key
			form := map[string]*regexp.Regexp{"code": codeForm, "state": codeForm, "name": keyForm}[key]
			if text, ok := value.(string); ok && form != nil && !form.MatchString(text) {
				return fmt.Errorf("%s: %q does not match %s", here, text, form)
			}
			if !keyForm.MatchString(key) {
				return fmt.Errorf("%s: the key is not lower_snake_case", here)
			}
			if err := checkWords(here, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestSchemasRefuse gives bad documents to the check, which must refuse them.
func TestSchemasRefuse(t *testing.T) {
	const whole = `{"format_version":1,"at":"2027-01-02T02:04:05Z","steps":[],"summary":{"reimports":0,"unchanged":0},"notes":[],"failures":[]`
	for _, c := range []struct {
		args, text string
		good       bool
	}{
		{"plan --format json", whole + `}`, true},
		{"apply --format json", whole + `}`, false},
		{"apply --format json", whole + `,"applied":[]}`, true},
		{"apply --format json", whole + `,"applied":["user.ann"],"error":{"code":"interrupted","message":"m"}}`, true},
		{"plan --format json", whole + `,"steps":null}`, false},
		{"plan --format json", whole + `,"surprise":1}`, false},
		{"plan --format json", whole + `} {}`, false},
		{"plan --format json", strings.Replace(whole, "T02:04:05Z", "", 1) + `}`, false},
		{"plan --format json", strings.Replace(whole, `"notes":[]`, `"notes":[{"code":"orphaned","message":"m"}]`, 1) + `}`, true},
		{"plan --format json", strings.Replace(whole, `"notes":[]`, `"notes":[{"code":"damaged","message":"m"}]`, 1) + `}`, false},
		{"plan --format json", strings.Replace(whole, `"notes":[]`, `"notes":[{"message":"m"}]`, 1) + `}`, false},
		{"plan --format json", strings.Replace(whole, `"unchanged"`, `"to create"`, 1) + `}`, false},
		{"plan --format json", ``, false},
		{"apply --quiet --format json", ``, true},
		{"plan --format json", `{"format_version":1,"error":{"code":"usage","message":"m"}}`, true},
		{"plan --format json", `{"format_version":1,"error":{"code":"wrong flag","message":"m"}}`, false},
		{"plan --format json", `{"format_version":2,"error":{"code":"usage","message":"m"}}`, false},
		{"init --format yaml", "format_version: 1\nfile: m.hcl\n", true},
		{"init --format yaml", "format_version: 1\nfile: 7\n", false},
	} {
		err := checkDocument(strings.Fields(c.args), []byte(c.text))
		if good := err == nil; good != c.good {
			t.Errorf("%s: %s: %v", c.args, c.text, err)
		}
	}
}

// TestAnswersRefuse gives bad answers to the judges of formats that have no schema.
func TestAnswersRefuse(t *testing.T) {
	tools.Need(t, "promtool")
	const calendar = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:a\r\nDTSTART;VALUE=DATE:20270301\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	for _, c := range []struct {
		format, text string
		good         bool
	}{
		{"csv", "a,b\r\n1,\"2\"\"\"\r\n", true},
		{"csv", "a,b\r\n1\r\n", false},
		{"csv", "a,b\r\n1,\"2\r\n", false},
		{"ics", calendar, true},
		{"ics", strings.Replace(calendar, "UID:a\r\n", "", 1), false},
		{"ics", strings.Replace(calendar, "20270301", "2027-03-01", 1), false},
		{"ics", "BEGIN:VEVENT\r\n", false},
		{"prometheus", "# HELP m_seconds Of a thing.\n# TYPE m_seconds gauge\nm_seconds{owner=\"a\"} 1\n", true},
		{"prometheus", "# HELP m_seconds Of a thing.\n# TYPE m_seconds gauge\nm_seconds{owner=a} 1\n", false},
		{"prometheus", "m_seconds 1\n", false},
	} {
		if err := checkAnswer(c.format, []byte(c.text)); (err == nil) != c.good {
			t.Errorf("%s: %q: %v", c.format, c.text, err)
		}
	}
}

// TestVisitDocuments: what the gate of try answers as JSON matches its schema.
func TestVisitDocuments(t *testing.T) {
	at := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range plan.VisitCodes() {
		v := plan.VisitDocument{FormatVersion: plan.FormatVersion, Admitted: c.Code == plan.Admitted, Code: c.Code}
		if c.Code == plan.Revoked {
			v.Certificate = &plan.VisitCertificate{Owner: "user.ann", Serial: "0A", NotBefore: at, NotAfter: at, RevokedAt: &at, RevokedFor: "superseded"}
		}
		_, text := ui.Visit(v, "", "application/json")
		document, err := validator.UnmarshalJSON(bytes.NewReader(text))
		if err == nil {
			err = errors.Join(checkWords("", document), checkSchema("visit", document))
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
