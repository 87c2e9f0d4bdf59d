package ui

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
)

const emptyPlanJSON = `{
  "format_version": 1,
  "at": "2027-01-02T02:04:05Z",
  "steps": [],
  "summary": {
    "reimports": 0,
    "unchanged": 0
  },
  "notes": [],
  "failures": []
}
`

const emptyPlanYAML = `format_version: 1
at: "2027-01-02T02:04:05Z"
steps: []
summary:
  reimports: 0
  unchanged: 0
notes: []
failures: []
`

func document(t *testing.T, format string, v any) string {
	t.Helper()
	var out bytes.Buffer
	if err := Document(&out, format, v); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestEmptyPlanDocument(t *testing.T) {
	doc := plan.NewPlanDocument(&plan.Plan{At: at})
	if got := document(t, "json", doc); got != emptyPlanJSON {
		t.Errorf("JSON: got\n%s", got)
	}
	if got := document(t, "yaml", doc); got != emptyPlanYAML {
		t.Errorf("YAML: got\n%s", got)
	}
}

const stepJSON = `{
    "owner": "user.<a>",
    "action": "rekey",
    "artefacts": [],
    "reasons": [
      {
        "code": "expiring",
        "message": "m",
        "field": "not_after",
        "have": "h",
        "want": "w"
      }
    ],
    "not_after": "2027-01-02T02:04:05Z",
    "reimport": true
  }`

func TestStepDocument(t *testing.T) {
	p := &plan.Plan{Unchanged: 7, Steps: []plan.Step{{
		Owner: "user.<a>", Action: plan.Rekey, NotAfter: &at, Reimport: true,
		Reasons: []plan.Reason{{Code: plan.Expiring, Message: "m", Field: "not_after", Have: "h", Want: "w"}},
	}}}
	text := document(t, "json", plan.NewPlanDocument(p))
	if !strings.Contains(unindent(text), unindent(stepJSON)) {
		t.Errorf("got\n%s", text)
	}
	if want := `"summary":{"reimports":1,"rekey":1,"unchanged":7}`; !strings.Contains(unindent(text), want) {
		t.Errorf("no %s in\n%s", want, text)
	}
}

// unindent takes all blanks and line ends out; the samples have none in strings.
func unindent(s string) string { return strings.NewReplacer(" ", "", "\n", "").Replace(s) }

func TestApplyDocument(t *testing.T) {
	p := samplePlan()
	p.Failures = nil
	for _, c := range []struct {
		done []plan.Step
		want string
	}{
		{nil, `"failures":[{"owner":"user.mmuser","code":"failed","message":"m"}],"applied":[]`},
		{p.Steps[:1], `"failures":[{"owner":"user.mmuser","code":"failed","message":"m"}],"applied":["ca.mattermost"]`},
	} {
		r := &engine.Report{Plan: p, Done: c.done, Failures: []plan.Failure{{Owner: "user.mmuser", Code: plan.Failed, Message: "m"}}}
		stopped := &plan.ErrorDetail{Code: plan.Interrupted, Message: "m"}
		for _, want := range []struct {
			stopped *plan.ErrorDetail
			end     string
		}{{nil, "}"}, {stopped, `,"error":{"code":"interrupted","message":"m"}}`}} {
			if got := unindent(document(t, "json", ApplyDocument(r, want.stopped))); !strings.HasSuffix(got, c.want+want.end) {
				t.Errorf("got %s, want at its end %s", got, c.want+want.end)
			}
		}
	}
}

// TestFormatsAgree reads both documents back and compares the values.
func TestFormatsAgree(t *testing.T) {
	p := samplePlan()
	p.Steps[0].Reasons[0].Message = "true" // a string that YAML could take for something else
	p.Steps[0].Reasons[0].Have = "2027-01-01"
	p.Steps[0].Reasons[0].Want = "two\nlines: \"x\""
	p.Steps[0].NotAfter = &at
	details := &plan.Details{Owner: "user.a", Step: &p.Steps[0], Certificates: sampleCertificates(t),
		Issued: []plan.IssuedDetail{{Serial: "0123", State: "valid", NotAfter: at}}}
	for _, doc := range []any{plan.NewPlanDocument(p), ShowDocument(details)} {
		var fromJSON, fromYAML any
		if err := json.Unmarshal([]byte(document(t, "json", doc)), &fromJSON); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal([]byte(document(t, "yaml", doc)), &fromYAML); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(fromYAML)
		if err != nil {
			t.Fatal(err)
		}
		var normal any
		if err := json.Unmarshal(again, &normal); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(fromJSON, normal) {
			t.Errorf("JSON\n%v\nYAML\n%v", fromJSON, normal)
		}
	}
}

type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestOutputRemembersTheFirstError(t *testing.T) {
	out := &Output{W: full{}}
	Plan(out, Style{}, samplePlan())
	if err := Document(out, "yaml", plan.NewPlanDocument(samplePlan())); err != nil {
		t.Errorf("Document saw %v, which only the end of the run should", err)
	}
	if out.Err != errFull {
		t.Errorf("Err = %v", out.Err)
	}
}
