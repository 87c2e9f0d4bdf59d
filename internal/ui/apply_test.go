package ui

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
)

func newApply(out, talk *bytes.Buffer) *Apply {
	return &Apply{Out: out, Err: talk, Passphrase: func(o plan.Owner) string { return "pki/secrets/" + string(o) + ".pass" }}
}

func TestApplyShowsStepsAsTheyAreDone(t *testing.T) {
	var out, talk bytes.Buffer
	v := newApply(&out, &talk)
	p := samplePlan()
	p.Notes = []plan.Note{{Warning: true, Owner: "ca.mattermost", Message: "cut"}, {Message: "by the way"}}
	v.Planned(p)
	if out.Len() > 0 {
		t.Errorf("printed before anything was done:\n%s", out.String())
	}
	v.Done(p.Steps[:1])
	want := "+ ca.mattermost     create   pass key crt\n    there is no CA yet\n    passphrase in pki/secrets/ca.mattermost.pass\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	failure := plan.Failure{Owner: "user.mmuser", Message: "wrong passphrase"}
	v.Failed(failure)
	out.Reset()
	v.End(&engine.Report{Plan: p, Done: p.Steps[:1], Failures: []plan.Failure{failure, {Owner: "user.ann", Message: "late"}}})
	if want := "\nApplied: 1 created, 2 failed, 2 not done, 12 unchanged.\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	wantTalk := "warning: ca.mattermost: cut\nnote: by the way\nuser.mmuser: wrong passphrase\nuser.ann: late\n"
	if talk.String() != wantTalk {
		t.Errorf("got\n%swant\n%s", talk.String(), wantTalk)
	}
}

func TestApplyFoldsWhatPlanFolds(t *testing.T) {
	var out, talk bytes.Buffer
	v := newApply(&out, &talk)
	steps := many(30)
	for i := range steps {
		steps[i].Artefacts, steps[i].Generated = []string{"pass", "crt", "p12"}, true
	}
	v.Planned(&plan.Plan{Steps: steps})
	for _, s := range steps[:29] {
		v.Done([]plan.Step{s})
	}
	if out.Len() > 0 {
		t.Errorf("the group was printed before its end:\n%s", out.String())
	}
	v.End(&engine.Report{Plan: &plan.Plan{Steps: steps}, Done: steps[:29]})
	if !strings.HasPrefix(out.String(), "~ 29 users  reissue  pass crt p12\n") || !strings.Contains(out.String(), "\n    passphrases in pki/secrets\n") || !strings.Contains(out.String(), "Applied: 29 reissued, 1 not done,") {
		t.Errorf("got\n%s", out.String())
	}

	out.Reset()
	v = newApply(&out, &talk)
	v.Planned(&plan.Plan{Steps: steps})
	for _, s := range steps {
		v.Done([]plan.Step{s})
	}
	if !strings.HasPrefix(out.String(), "~ 30 users  reissue  pass crt p12\n") {
		t.Errorf("a group that is done was not printed:\n%s", out.String())
	}
}

func TestApplyShowsARefusedPlanAtOnce(t *testing.T) {
	var out, talk bytes.Buffer
	v := newApply(&out, &talk)
	p := &plan.Plan{Steps: []plan.Step{{Owner: "ca.x", Action: plan.Refuse,
		Reasons: []plan.Reason{{Code: plan.Unrecorded, Message: "files of another hand"}}}}}
	v.Planned(p)
	v.End(&engine.Report{Plan: p})
	want := "! ca.x  refuse\n    files of another hand\n\nRefused: 1 step must not be applied, so nothing was changed.\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestQuietApplyWritesFailuresOnly(t *testing.T) {
	var out, talk bytes.Buffer
	v := newApply(&out, &talk)
	v.Quiet = true
	p := samplePlan()
	p.Notes = []plan.Note{{Message: "by the way"}}
	v.Planned(p)
	v.Done(p.Steps[:1])
	v.End(&engine.Report{Plan: p, Done: p.Steps[:1], Failures: []plan.Failure{{Owner: "user.ann", Message: "late"}}})
	if out.Len() > 0 || talk.String() != "user.ann: late\n" {
		t.Errorf("out %q, talk %q", out.String(), talk.String())
	}
}

// TestProgressPassesEverythingOn checks that the bar is on its own stream only
// and is gone at the end.
func TestProgressPassesEverythingOn(t *testing.T) {
	var plain, out, talk, terminal bytes.Buffer
	p := samplePlan()
	bare, view := newApply(&plain, &talk), newApply(&out, &talk)
	bar := &Progress{Watcher: view, Terminal: &terminal, Elapsed: func() time.Duration { return 0 }}
	view.Out, view.Err = bar.Above(&out), bar.Above(&talk)
	for _, w := range []engine.Watcher{bare, bar} {
		w.Planned(p)
		for _, s := range p.Steps[1:] {
			w.Done([]plan.Step{s})
		}
		w.Failed(plan.Failure{Owner: "ca.mattermost", Message: "m"})
	}
	bar.Close()
	if plain.String() != out.String() {
		t.Errorf("with a bar\n%swithout\n%s", out.String(), plain.String())
	}
	drawn := strings.LastIndex(terminal.String(), "applying")
	if drawn < 0 || !strings.Contains(terminal.String(), "(0/5)") {
		t.Fatalf("no bar: %q", terminal.String())
	}
	if !strings.Contains(terminal.String()[drawn:], "\r"+strings.Repeat(" ", 40)) {
		t.Errorf("the bar is left behind: %q", terminal.String()[drawn:])
	}
}

// TestReadingIsShownWhenItTakesLong checks that nothing is drawn in the first
// second, nor left behind.
func TestReadingIsShownWhenItTakesLong(t *testing.T) {
	var terminal bytes.Buffer
	now := time.Duration(0)
	bar := &Progress{Terminal: &terminal, Elapsed: func() time.Duration { return now }}
	for range 2 {
		for i := range 1000 {
			if now += 2 * time.Millisecond; i == 480 && terminal.Len() > 0 {
				t.Fatalf("drawn at once: %q", terminal.String())
			}
			bar.Reading(i+1, 1000)
			if i == 700 && !strings.Contains(terminal.String(), "reading, 501/s, a few seconds left") {
				t.Fatalf("after %s: %q", now, terminal.String())
			}
		}
		if last := terminal.String()[strings.LastIndex(terminal.String(), "1000)"):]; !strings.Contains(last, "\r"+strings.Repeat(" ", 40)) {
			t.Errorf("the bar is left behind: %q", last)
		}
		terminal.Reset()
	}
}

// TestALogHasALineFromTimeToTime: ten seconds lie between two lines at least, and
// nothing quick has any.
func TestALogHasALineFromTimeToTime(t *testing.T) {
	var log, out, talk bytes.Buffer
	now := time.Duration(0)
	view := newApply(&out, &talk)
	lines := &Progress{Watcher: view, Terminal: &log, Log: true, Elapsed: func() time.Duration { return now }}
	for i := range 4000 {
		now += 5 * time.Millisecond
		lines.Reading(i+1, 4000)
	}
	if want := "reading: 2001 of 4000 users, 200/s, a few seconds left\n"; log.String() != want {
		t.Errorf("%q, not %q", log.String(), want)
	}
	log.Reset()
	for i := range 600 {
		now += 20 * time.Millisecond
		lines.HandingOut(i, 1000)
	}
	if want := "handing out: 500 of 1000 users, 50/s, about 10 s left\n"; log.String() != want {
		t.Errorf("%q, not %q", log.String(), want)
	}
	log.Reset()
	p := &plan.Plan{}
	for i := range 100 {
		p.Steps = append(p.Steps, plan.Step{Owner: plan.Owner(fmt.Sprintf("user.%d", i)), Action: plan.Create})
	}
	lines.Planned(p)
	for i := range p.Steps {
		now += 2 * time.Second
		lines.Done(p.Steps[i : i+1])
	}
	if n := strings.Count(log.String(), "\n"); n != 19 {
		t.Errorf("%d lines in 200 s:\n%s", n, log.String())
	}
	if want := "applying: 5 of 100 steps, 30/min, about 3 min left\n"; !strings.HasPrefix(log.String(), want) {
		t.Errorf("%q does not begin with %q", log.String(), want)
	}
}

func TestTimeLeft(t *testing.T) {
	for _, c := range []struct {
		done, left int
		spent      time.Duration
		want       string
	}{
		{0, 100, time.Minute, ""},
		{100, 0, time.Minute, ""},
		{90, 10, time.Minute, ", a few seconds left"},
		{256, 2744, 4 * time.Second, ", about 40 s left"},
		{1000, 99000, 2 * time.Second, ", about 3 min left"},
		{1, 99, 10 * time.Minute, ", about 16.5 h left"},
	} {
		if got := timeLeft(c.done, c.left, c.spent); got != c.want {
			t.Errorf("%d done, %d left after %s: %q, want %q", c.done, c.left, c.spent, got, c.want)
		}
	}
}

// sampleCertificates is one certificate that ends a year after at.
func sampleCertificates(t *testing.T) []*x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(0x1abc), Subject: pkix.Name{CommonName: "mmuser"},
		NotBefore: at, NotAfter: at.AddDate(1, 0, 0), EmailAddresses: []string{"mmuser@example.com"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{cert}
}

func TestDetailsText(t *testing.T) {
	step := plan.Step{Owner: "user.mmuser", Action: plan.Repair, Artefacts: []string{"p12"},
		Reasons: []plan.Reason{{Code: plan.Missing, Message: "the .p12 is gone"}}}
	d := &plan.Details{
		Owner: "user.mmuser",
		Files: []plan.FileDetail{
			{Kind: "key", Path: "pki/mmuser-mattermost.key", Mode: "0600", State: "ok", Facts: []plan.FileFact{{Name: "iterations", Value: "2048"}}},
			{Kind: "crt", Path: "pki/mmuser-mattermost.crt", Mode: "0644", State: "damaged", Message: "no PEM in it",
				Facts: []plan.FileFact{{Name: plan.FactNotAfter, Value: "2027-01-02T02:04:05Z"}}},
			{Kind: "p12", Path: "pki/mmuser-mattermost.p12", State: "missing"},
		},
		Issued: []plan.IssuedDetail{{Serial: "0A1B", State: "revoked", NotAfter: at, RevokedAt: &at, Reason: "superseded", Subject: "CN=mmuser"}},
		Step:   &step,
	}
	var out bytes.Buffer
	if err := Details(&out, Style{}, d, at); err != nil {
		t.Fatal(err)
	}
	want := `user.mmuser

Files
  key  0600  ok       pki/mmuser-mattermost.key
      iterations: 2048
  crt  0644  damaged  pki/mmuser-mattermost.crt
      no PEM in it
      valid until: 2027-01-02 02:04:05 UTC
  p12  -     missing  pki/mmuser-mattermost.p12

CA database
  0A1B  revoked  until 2027-01-02
    revoked at 2027-01-02 02:04:05 UTC: superseded
    CN=mmuser

Pending
  ~ user.mmuser  repair  p12
      the .p12 is gone
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestValidity(t *testing.T) {
	for _, c := range []struct {
		left time.Duration
		want string
	}{
		{36 * time.Hour, "valid until 2027-01-03 14:04:05 UTC, 1 day left"},
		{time.Hour, "valid until 2027-01-02 03:04:05 UTC, 0 days left"},
		{-time.Hour, "expired at 2027-01-02 01:04:05 UTC"},
	} {
		if got := validity(at.Add(c.left), at); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
