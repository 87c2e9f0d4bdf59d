package ui

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"mtlsplan/spec"
)

func diagnose(t *testing.T, text string) (*spec.Sources, hcl.Diagnostics) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.hcl")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, src, diags := spec.Load(t.Context(), file, "")
	return src, diags
}

// TestCaretsBelowWhatIsMeant marks one range in lines that are hard to align.
// In a terminal the carets stand where the third column has them.
func TestCaretsBelowWhatIsMeant(t *testing.T) {
	long := strings.Repeat("a", 200)
	for _, tt := range []struct {
		name         string
		snip         spec.Snippet
		line, carets string
	}{
		{"plain", spec.Snippet{Text: `key = "x"`, Start: 6, End: 9}, `key = "x"`, `      ^^^`},
		{"tab before", spec.Snippet{Text: "\tkey = 1", Start: 7, End: 8}, "    key = 1", "          ^"},
		{"tab within", spec.Snippet{Text: "a\tb", Start: 0, End: 3}, "a   b", "^^^^^"},
		{"wide", spec.Snippet{Text: `"東京" x`, Start: 9, End: 10}, `"東京" x`, `       ^`},
		{"wide meant", spec.Snippet{Text: `"東京"`, Start: 0, End: 8}, `"東京"`, `^^^^^^`},
		{"combining", spec.Snippet{Text: "e\u0301x", Start: 3, End: 4}, "e\u0301x", " ^"},
		{"escape", spec.Snippet{Text: "\x1b[2Jx", Start: 4, End: 5}, `\x1b[2Jx`, `       ^`},
		{"bidi", spec.Snippet{Text: "\u202eab", Start: 3, End: 4}, `\u202eab`, `      ^`},
		{"no UTF-8", spec.Snippet{Text: "\xff!", Start: 1, End: 2}, `\xff!`, `    ^`},
		{"between", spec.Snippet{Text: "ab", Start: 1, End: 1}, "ab", " ^"},
		{"at the end", spec.Snippet{Text: "ab", Start: 2, End: 2}, "ab", "  ^"},
		{"empty line", spec.Snippet{}, "", "^"},
		{"hidden", spec.Snippet{Text: `p = "secret" x`, Start: 4, End: 12, Hidden: [][2]int{{4, 12}}}, `p = (hidden) x`, `    ^^^^^^^^`},
		{"behind hidden", spec.Snippet{Text: `p = "s" x`, Start: 8, End: 9, Hidden: [][2]int{{4, 7}}}, `p = (hidden) x`, `             ^`},
		{"within hidden", spec.Snippet{Text: `p = "secret" x`, Start: 6, End: 7, Hidden: [][2]int{{4, 12}}}, `p = (hidden) x`, `    ^^^^^^^^`},
		{"two hidden", spec.Snippet{Text: `abcd`, Start: 3, End: 4, Hidden: [][2]int{{0, 1}, {2, 3}}}, `(hidden)b(hidden)d`, `                 ^`},
		{"long, at the start", spec.Snippet{Text: "xy" + long, Start: 0, End: 2}, "xy" + long[:92] + "…", "^^"},
		{"long, at the end", spec.Snippet{Text: long + "xy", Start: 200, End: 202}, "…" + long[:32] + "xy", strings.Repeat(" ", 33) + "^^"},
		{"long, all of it", spec.Snippet{Text: long, Start: 0, End: 200}, long[:94] + "…", strings.Repeat("^", 94)},
	} {
		line, carets := draw(tt.snip)
		if line != tt.line || carets != tt.carets {
			t.Errorf("%s:\n%s\n%s\nwant\n%s\n%s", tt.name, line, carets, tt.line, tt.carets)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"one two three", []string{"one two", "three"}},
		{"a bcdefghijklmnop q", []string{"a", "bcdefghijklmnop", "q"}},
		{"東京 東京 x", []string{"東京 東京", "x"}},
		{"write { a = 1 } now", []string{"write { a = 1 }", "now"}},
		{"a\nb", []string{"a", "b"}},
		{"", []string{""}},
	} {
		if have := wrap(tt.text, 9); fmt.Sprintf("%q", have) != fmt.Sprintf("%q", tt.want) {
			t.Errorf("%q: %q, want %q", tt.text, have, tt.want)
		}
	}
}

// TestDiagnosticsAreCounted writes 20 in full and counts the others, the most
// frequent kind first.
func TestDiagnosticsAreCounted(t *testing.T) {
	text := "ca \"m\" {\n  subject {\n    common_name = \"Root\"\n  }\n}\n"
	for i := range 30 {
		text += fmt.Sprintf("user \"u%d\" {\n  shoe = 1\n}\n", i)
	}
	text += "user \"u0\" {\n}\n"
	src, diags := diagnose(t, text)
	var out strings.Builder
	WriteDiagnostics(&out, src, diags, false)
	if n := strings.Count(out.String(), "Error: "); n != 20 {
		t.Errorf("%d in full", n)
	}
	if want := "\nAnd 11 more problems:\n  10 × Unknown attribute\n  1 × Name used twice\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("ends in %q", out.String()[out.Len()-100:])
	}
}

// TestDiagnosticsInColour differ from those without in SGR sequences only.
func TestDiagnosticsInColour(t *testing.T) {
	src, diags := diagnose(t, "user \"a\" {\n  key = \"rsa-1024\"\n}\n")
	var plain, color strings.Builder
	WriteDiagnostics(&plain, src, diags, false)
	WriteDiagnostics(&color, src, diags, true)
	if strings.Contains(plain.String(), "\x1b") || !strings.Contains(color.String(), "\x1b[31mError:\x1b[0m") {
		t.Errorf("%q\n%q", plain.String(), color.String())
	}
	stripped := color.String()
	for _, sgr := range []string{bold, faint, red, "0"} {
		stripped = strings.ReplaceAll(stripped, "\x1b["+sgr+"m", "")
	}
	if stripped != plain.String() {
		t.Errorf("%q\n%q", stripped, plain.String())
	}
}

// TestDiagnosticsWithoutSource are those of a file that could not be read.
func TestDiagnosticsWithoutSource(t *testing.T) {
	_, src, diags := spec.Load(t.Context(), filepath.Join(t.TempDir(), "no\x1b[2J.hcl"), "")
	var out strings.Builder
	WriteDiagnostics(&out, src, diags, false)
	WriteDiagnostics(&out, nil, append(diags, &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: "S", Detail: "D"}), false)
	if strings.Contains(out.String(), "\x1b") || !strings.Contains(out.String(), `no\x1b[2J.hcl`) {
		t.Errorf("%q", out.String())
	}
}
