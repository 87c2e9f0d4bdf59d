package ui

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
)

var at = time.Date(2027, 1, 2, 3, 4, 5, 6, time.FixedZone("CET", 3600))

// TestManyFailures: a passphrase that everybody lacks is told in time.
func TestWrapForATerminal(t *testing.T) {
	st := Style{Width: 20}
	for text, want := range map[string]string{
		"short":                                  "short",
		"one two three four five six":            "one two\n  three four five\n  six",
		"a-word-that-is-longer-than-any-line ok": "a-word-that-is-longer-than-any-line\n  ok",
	} {
		if have := st.wrap(text, 10, "  "); have != want {
			t.Errorf("%q, not %q", have, want)
		}
	}
	if have := (Style{}).wrap("one two three four five six", 10, "  "); have != "one two three four five six" {
		t.Errorf("without a terminal: %q", have)
	}
}

func TestManyFailures(t *testing.T) {
	v := &Apply{Out: io.Discard, Err: io.Discard}
	report := &engine.Report{Plan: &plan.Plan{}}
	v.Planned(report.Plan)
	for i := range 100_000 {
		f := plan.Failure{Owner: plan.Owner(fmt.Sprintf("user.u%06d", i)), Message: "environment variable X is not set"}
		v.Failed(f)
		report.Failures = append(report.Failures, f)
	}
	start := time.Now()
	v.End(report)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

// samplePlan has one step of most actions.
func samplePlan() *plan.Plan {
	return &plan.Plan{
		At:        at,
		Unchanged: 12,
		Steps: []plan.Step{
			{Owner: "ca.mattermost", Action: plan.Create, Artefacts: []string{"pass", "key", "crt"}, Generated: true,
				Reasons: []plan.Reason{{Code: plan.Missing, Message: "there is no CA yet"}}},
			{Owner: "user.mmuser", Action: plan.Rekey, Artefacts: []string{"key", "csr", "crt", "p12"}, Reimport: true,
				Reasons: []plan.Reason{
					{Code: plan.KeyChanged, Message: "the key is of another type", Field: "key", Have: "rsa-2048", Want: "ecdsa-p256"},
					{Code: plan.SubjectChanged, Message: "the subject differs", Field: "subject",
						Have: "C=US, ST=Maryland, L=Meade, O=Mattermost, OU=Smarttotem, CN=mmuser",
						Want: "C=US, ST=Maryland, L=Fort Meade, O=Mattermost, OU=Smarttotem, CN=mmuser"},
				}},
			{Owner: "user.ann", Action: plan.Create, Artefacts: []string{"pass", "key", "csr", "crt", "p12"}, Generated: true, Reimport: true,
				Reasons: []plan.Reason{{Code: plan.Missing, Message: "there are no files yet"}}},
			{Owner: "crl.mattermost", Action: plan.Rebuild, Artefacts: []string{"crl"},
				Reasons: []plan.Reason{{Code: plan.Expiring, Message: "it ends in 9 days", Want: "10 days before"}}},
			{Owner: "nginx.mattermost", Action: plan.Repair, Artefacts: []string{"site"},
				Reasons: []plan.Reason{{Code: plan.Mode, Message: "its mode is wider than it may be", Have: "0666", Want: "0644"}}},
		},
	}
}

const samplePlanText = `+ ca.mattermost     create   pass key crt
    there is no CA yet
± user.mmuser       rekey    key csr crt p12
    the key is of another type: rsa-2048 → ecdsa-p256
    the subject differs:
        C=US, ST=Maryland, L=Meade, O=Mattermost, OU=Smarttotem, CN=mmuser
      → C=US, ST=Maryland, L=Fort Meade, O=Mattermost, OU=Smarttotem, CN=mmuser
+ user.ann          create   pass key csr crt p12
    there are no files yet
~ crl.mattermost    rebuild  crl
    it ends in 9 days: → 10 days before
~ nginx.mattermost  repair   site
    its mode is wider than it may be: 0666 → 0644

Plan: 2 to create, 1 to rekey, 1 to rebuild, 1 to repair, 12 unchanged. 2 users must import a new .p12.
`

func TestPlanText(t *testing.T) {
	var out bytes.Buffer
	Plan(&out, Style{}, samplePlan())
	if out.String() != samplePlanText {
		t.Errorf("got\n%swant\n%s", out.String(), samplePlanText)
	}
}

func TestReasonSaysNothingTwice(t *testing.T) {
	for _, c := range []struct {
		reason plan.Reason
		want   string
	}{
		{plan.Reason{Message: "gone"}, "gone"},
		{plan.Reason{Message: "it expired on 2027-01-01", Field: "validity", Have: "2027-01-01"}, "it expired on 2027-01-01"},
		{plan.Reason{Message: "it is revoked", Field: "serial", Have: "0A"}, "it is revoked: serial 0A"},
		{plan.Reason{Message: "another subject", Field: "locality", Have: "a", Want: "b"}, "another subject: locality a → b"},
		{plan.Reason{Message: "another key", Field: "key", Want: "b"}, "another key: → b"},
	} {
		var out bytes.Buffer
		(&layout{w: &out}).reason(c.reason)
		if got := strings.TrimSpace(out.String()); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestColourAddsNothingButSequences(t *testing.T) {
	var out bytes.Buffer
	Plan(&out, Style{Color: true}, samplePlan())
	text := out.String()
	if !strings.Contains(text, "\x1b[32m+\x1b[0m") {
		t.Errorf("create is not green:\n%q", text)
	}
	for _, sgr := range []string{"0", bold, faint, red, green, yellow} {
		text = strings.ReplaceAll(text, "\x1b["+sgr+"m", "")
	}
	if text != samplePlanText {
		t.Errorf("without colour got\n%q", text)
	}
}

// many makes n users with the same action and reason codes.
func many(n int) []plan.Step {
	var steps []plan.Step
	for i := range n {
		steps = append(steps, plan.Step{
			Owner: plan.Owner(fmt.Sprintf("user.u%03d", i)), Action: plan.Reissue, Artefacts: []string{"crt", "p12"}, Reimport: true,
			Reasons: []plan.Reason{
				{Code: plan.Expiring, Message: "the certificate ends soon", Have: fmt.Sprintf("%d days", i)},
				{Code: plan.UsageChanged, Message: fmt.Sprintf("extension %d differs", i), Have: "a", Want: "b"},
			},
		})
	}
	return steps
}

func TestFold(t *testing.T) {
	var whole, folded bytes.Buffer
	Plan(&whole, Style{}, &plan.Plan{Steps: many(foldAbove)})
	if n := strings.Count(whole.String(), "~ user."); n != foldAbove {
		t.Errorf("%d steps were folded: %d lines", foldAbove, n)
	}
	steps := many(480)
	ca := steps[0]
	ca.Owner, ca.Reimport = "ca.x", false
	steps = append(steps, ca)
	Plan(&folded, Style{}, &plan.Plan{Steps: steps})
	want := `~ 480 users  reissue  crt p12
    user.u000, user.u001, user.u002 and 477 more
    the certificate ends soon
    extension 0 differs (user.u000): a → b
~ ca.x       reissue  crt p12
    the certificate ends soon: 0 days
    extension 0 differs: a → b

Plan: 481 to reissue, 0 unchanged. 480 users must import a new .p12.
`
	if folded.String() != want {
		t.Errorf("got\n%swant\n%s", folded.String(), want)
	}
}

func TestManyNotes(t *testing.T) {
	var notes []plan.Note
	for i := range 30 {
		user := plan.Owner(fmt.Sprintf("user.u%02d", i))
		notes = append(notes,
			plan.Note{Owner: user, Code: plan.NextRenewal, Message: "the same"},
			plan.Note{Owner: user, Code: plan.ReasonKept, Message: "of " + string(user), Warning: true},
			plan.Note{Code: plan.Orphaned, Message: fmt.Sprint("file ", i)})
	}
	notes = append(notes, plan.Note{Owner: "ca.m", Code: plan.NextRenewal, Message: "by itself"})
	var out bytes.Buffer
	Notes(&out, Style{}, notes)
	want := `note: user.u00, user.u01, user.u02 and 27 more: the same
warning: user.u00, user.u01, user.u02 and 27 more: of user.u00 (user.u00)
note: file 0 (and 29 more like this)
note: ca.m: by itself
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	out.Reset()
	if Notes(&out, Style{}, notes[:60]); strings.Count(out.String(), "\n") != 60 {
		t.Errorf("twenty of a kind were folded:\n%s", out.String())
	}
}

func TestTotals(t *testing.T) {
	refuse := plan.Step{Owner: "ca.x", Action: plan.Refuse}
	create := plan.Step{Owner: "user.a", Action: plan.Create, Reimport: true}
	other := plan.Step{Owner: "user.b", Action: plan.Create, Reimport: true}
	failure := []plan.Failure{{Owner: "user.b", Message: "m"}}
	for _, c := range []struct {
		plan        plan.Plan
		done        []plan.Step
		failures    []plan.Failure
		want, apply string
	}{
		{plan.Plan{Unchanged: 4}, nil, nil,
			"Nothing to do: 4 owners match the spec.", "Nothing to do: 4 owners match the spec."},
		{plan.Plan{Unchanged: 1}, nil, nil,
			"Nothing to do: 1 owner matches the spec.", "Nothing to do: 1 owner matches the spec."},
		{plan.Plan{Unchanged: 3, Failures: failure}, nil, failure,
			"Plan: 1 not judged, 3 unchanged.", "Applied: 1 failed, 3 unchanged."},
		{plan.Plan{Steps: []plan.Step{create}}, []plan.Step{create}, nil,
			"Plan: 1 to create, 0 unchanged. 1 user must import a new .p12.",
			"Applied: 1 created, 0 unchanged. 1 user must import a new .p12."},
		{plan.Plan{Steps: []plan.Step{create, other}}, []plan.Step{create}, failure,
			"Plan: 2 to create, 0 unchanged. 2 users must import a new .p12.",
			"Applied: 1 created, 1 failed, 0 unchanged. 1 user must import a new .p12."},
		{plan.Plan{Steps: []plan.Step{create, other}}, nil, nil,
			"Plan: 2 to create, 0 unchanged. 2 users must import a new .p12.",
			"Applied: 2 not done, 0 unchanged."},
		{plan.Plan{Steps: []plan.Step{create, refuse}}, nil, nil,
			"Refused: 1 step must not be applied, so apply would change nothing.",
			"Refused: 1 step must not be applied, so nothing was changed."},
	} {
		if got := PlanTotals(&c.plan); got != c.want {
			t.Errorf("plan: got %q, want %q", got, c.want)
		}
		r := &engine.Report{Plan: &c.plan, Done: c.done, Failures: c.failures}
		if got := ApplyTotals(r); got != c.apply {
			t.Errorf("apply: got %q, want %q", got, c.apply)
		}
	}
}

func TestEveryActionHasAWord(t *testing.T) {
	for _, a := range plan.Actions {
		if wordOf(a).symbol == "?" {
			t.Errorf("%s has no row in words", a)
		}
	}
	if len(words) != len(plan.Actions) {
		t.Errorf("%d words for %d actions", len(words), len(plan.Actions))
	}
}

// TestLabels holds that no name of a fact reaches people as scripts read it.
func TestLabels(t *testing.T) {
	names := map[string]bool{}
	for _, w := range plan.FactNames() {
		names[w.Name] = true
		if strings.Contains(label(w.Name), "_") {
			t.Errorf("%s has no label", w.Name)
		}
	}
	for name := range labels {
		if !names[name] {
			t.Errorf("%s has a label and is no fact", name)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		"Jürgen Ω → 漢字 a b":    "Jürgen Ω → 漢字 a b",
		"\x1b[2J\r\n\t\x7f":    `\x1b[2J\r\n\t\x7f`,
		"a\u009b31mb":          `a\u009b31mb`,
		"a\u202eb\u2066\u200f": `a\u202eb\u2066\u200f`,
		"bad \xff\xc3 bytes":   `bad \xff\xc3 bytes`,
		"\u2028\U000e0041":     `\u2028\U000e0041`,
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := cleanBlock("a\n\tb\x1b\n"); got != "a\n\tb\\x1b\n" {
		t.Errorf("cleanBlock: %q", got)
	}
}

// TestHostileTextIsHarmless puts terminal control into every field that comes
// from outside.
func TestHostileTextIsHarmless(t *testing.T) {
	bad := "x\x1b]0;evil\a\u009b2J\r\u202e\U000e0001\xff"
	step := plan.Step{Owner: plan.Owner(bad), Action: plan.Create, Artefacts: []string{"key"},
		Reasons: []plan.Reason{{Code: plan.Missing, Message: bad, Field: bad, Have: bad, Want: bad}}}
	p := &plan.Plan{At: at, Steps: []plan.Step{step}, Notes: []plan.Note{{Owner: step.Owner, Message: bad}},
		Failures: []plan.Failure{{Owner: step.Owner, Message: bad}}}
	details := &plan.Details{Owner: step.Owner, Step: &step, Failures: p.Failures,
		Files:  []plan.FileDetail{{Kind: bad, Path: bad, Mode: bad, State: bad, Message: bad, Facts: []plan.FileFact{{Name: bad, Value: bad}}}},
		Issued: []plan.IssuedDetail{{Serial: bad, State: bad, RevokedAt: &at, Reason: bad, Subject: bad}}}

	var out bytes.Buffer
	Plan(&out, Style{}, p)
	Notes(&out, Style{}, p.Notes)
	Failures(&out, Style{}, p.Failures)
	if err := Details(&out, Style{}, details, at); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"json", "yaml"} {
		for _, doc := range []any{plan.NewPlanDocument(p), ShowDocument(details)} {
			if err := Document(&out, format, doc); err != nil {
				t.Fatal(err)
			}
		}
	}
	if text := out.String(); !harmless(text, "\n") {
		t.Errorf("a control character got through:\n%q", text)
	}
}
