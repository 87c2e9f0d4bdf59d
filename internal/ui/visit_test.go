package ui

import (
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/plan"
)

// TestVisitHasEveryCode: each answer of the gate has a title and advice, in every form.
func TestVisitHasEveryCode(t *testing.T) {
	at := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range plan.VisitCodes() {
		v := plan.VisitDocument{FormatVersion: plan.FormatVersion, Code: c.Code, Admitted: c.Code == plan.Admitted}
		if c.Code != plan.NoCertificate && c.Code != plan.Unavailable {
			v.Certificate = &plan.VisitCertificate{CommonName: "ann", Serial: "0A", NotBefore: at, NotAfter: at, RevokedAt: &at, RevokedFor: "superseded"}
		}
		for _, accept := range []string{"text/html", "application/json", "*/*"} {
			mime, text := Visit(v, "admin@example.com", accept)
			if title := answers[c.Code].title; title == "" || !strings.Contains(string(text), strings.ReplaceAll(title, "'", map[bool]string{true: "&#39;", false: "'"}[accept == "text/html"])) {
				t.Errorf("%s as %s (%s):\n%s", c.Code, accept, mime, text)
			}
			if who := strings.Contains(string(text), "admin@example.com"); who == v.Admitted && accept != "application/json" {
				t.Errorf("%s as %s: whom to ask is there: %v", c.Code, accept, who)
			}
		}
	}
	if n := len(answers); n != len(plan.VisitCodes()) {
		t.Errorf("there are %d answers for %d codes", n, len(plan.VisitCodes()))
	}
}

// TestVisitHostileNames: names come from whoever shows a certificate.
func TestVisitHostileNames(t *testing.T) {
	v := plan.VisitDocument{Code: plan.UnknownCA, Certificate: &plan.VisitCertificate{
		CommonName: "<script>x</script>\x1b[2J\u202e", Email: "\"><img src=x>@example.com", Issuer: "CN = {{.}}", Serial: "01",
	}}
	for _, accept := range []string{"text/html", "application/json", "*/*"} {
		_, text := Visit(v, "a\"b@example.com", accept)
		if strings.ContainsAny(string(text), "\x1b\u202e") || accept == "text/html" && (strings.Contains(string(text), "<script") || strings.Contains(string(text), "<img")) {
			t.Errorf("%s: %q", accept, text)
		}
	}
	if line := Visited(v); strings.ContainsAny(line, "\x1b\u202e\n") {
		t.Errorf("%q", line)
	}
}
