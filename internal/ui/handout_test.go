package ui

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/plan"
)

// TestHandoutPage: the page asks for nothing from elsewhere, and a name stays a text.
func TestHandoutPage(t *testing.T) {
	page, err := HandoutPage("", "")
	if err != nil {
		t.Fatal(err)
	}
	p := plan.HandoutPage{
		Name: "ada", CommonName: `<script>alert(1)</script>`, Service: `"><img src=x>`, Label: "{{.}}", P12: "ada-m.p12", Contact: "a@b.example",
		Addresses: []string{"https://chat.example.com/"}, NotAfter: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC),
		Old: []plan.OldCertificate{{Serial: "0A:0B", NotAfter: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}},
	}
	for _, crt := range []string{"", "ada-m.crt"} {
		p.Crt = crt
		html, err := page(p)
		if err != nil {
			t.Fatal(err)
		}
		text := string(html)
		if strings.Contains(text, "<script") || strings.Contains(text, "<img") || strings.Contains(text, "@import") || strings.Contains(text, "url(") {
			t.Error("something runs or is loaded")
		}
		for _, link := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(text, -1) {
			if l := link[1]; l != "data:," && l != "https://chat.example.com/" && l != "mailto:a@b.example" {
				t.Errorf("a link to %q", l)
			}
		}
		for _, want := range []string{"good until <strong>2 January 2027</strong>", "0A:0B", "Windows", "Keychain Access", "Firefox", "iPhone", "Android"} {
			if !strings.Contains(text, want) {
				t.Errorf("it does not say %q", want)
			}
		}
		if strings.Contains(text, "mtlsplan bundle") != (crt != "") {
			t.Errorf("crt %q: the commands", crt)
		}
	}
}
