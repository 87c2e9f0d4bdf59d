package spec

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestRosterSecretsStayHidden writes a passphrase wherever a person could and
// looks for it in everything that a diagnostic could show.
func TestRosterSecretsStayHidden(t *testing.T) {
	const leak = "hunter2"
	for _, tt := range [][2]string{
		{"a.csv", "name,passphrase\nann,hunter2\nann,hunter2\n"},
		{"a.csv", "name,passphrase,key\nann,hunter2,rsa\n"},
		{"a.csv", "name,pin,key\nann,hunter2,rsa\n"},
		{"a.csv", "name,passphrase,key\nann,hunter2\n,,hunter2,\n\"ann\",a,hunter2,\n"},
		{"a.csv", "name,pin,key\nann,\"hunter2\nbob,x,y\n"},
		{"a.csv", "name,pin,key\nann,x\"hunter2,\n"},
		{"a.csv", "name,Password\nann,\"hunter2\"x\n"},
		{"a.csv", "name,passphrase.env\nann,hunter2!\nbob,hunter2 \n"},
		{"a.csv", "name,passphrase.value\nann,hunter2\nann,hunter2\n"},
		{"a.csv", "name,email,email\nann,a@example.com,hunter2\nann,,hunter2\n"},
		{"a.csv", "ann,hunter2,x@y.org\nbob,hunter2,y@y.org\n"},
		{"a.csv", "name;password\nann;hunter2\n"},
		{"a.csv", "name,passphrase\nann,hunter2\xff\n"},
		{"a.csv", "name\rpassphrase hunter2\r"},
		{"a.json", `[{"name": "a", "passphrase": "hunter2", "key": "rsa"}]`},
		{"a.json", `[{"name": "a", "passphrase": ["hunter2"], "key": "rsa"}]`},
		{"a.json", `[{"name": "a", "passphrase": {"value": "hunter2"}, "key": "rsa"}]`},
		{"a.json", `[{"name": "a", "passphrase": {"env": "hunter2!"}, "key": "rsa"}]`},
		{"a.json", `[{"name": "a", "passphrase": {"env": "A"}, "passphrase": {"value": "hunter2"}, "key": "rsa"}]`},
		{"a.json", `[{"name": "a", "pin": "hunter2", "key": "rsa"}]`},
		{"a.json", `[{"name": "a", "passphrase": hunter2}]`},
		{"a.json", `[{"name": "a", "passphrase": "hunter2`},
		{"a.json", `[{"name": "a", "passphrase": "hunter2" "x"}]`},
		{"a.json", `[{"name": "a", "passphrase": "hunter2\ud800"}]`},
		{"a.json", `[{"name": "a", "passphrase": [[[[[[[[["hunter2"]]]]]]]]]}]`},
		{"a.json", `[{"name": "a", "pin": "hunter2"}, {"name": "b", 1}]`},
		{"a.json", `{"name": "a", "passphrase": "hunter2"}`},
		{"a.yaml", "- name: a\n  passphrase: hunter2\n  key: rsa\n"},
		{"a.yaml", "- {name: a, passphrase: hunter2, key: rsa}\n"},
		{"a.yaml", "- {name: a, pin: hunter2, key: rsa}\n"},
		{"a.yaml", "- {name: a, pin: [hunter2, hunter2], key: rsa}\n"},
		{"a.yaml", "- {name: a, passphrase: {value: hunter2}, key: rsa}\n"},
		{"a.yaml", "- {name: a, passphrase: {env: hunter2!}, key: rsa}\n"},
		{"a.yaml", "- {name: a, passphrase: \"x\n  hunter2\", key: rsa}\n"},
		{"a.yaml", "- {name: a, passphrase: x\n  hunter2, key: rsa}\n"},
		{"a.yaml", "[{name: a, passphrase: x\n  hunter2}, {name: b, key: rsa}]\n"},
		{"a.yaml", "- {name: a, pin: hunter2\n  b, key: rsa}\n"},
		{"a.yaml", "- name: a\n  passphrase: |\n    hunter2\n  key: rsa\n"},
		{"a.yaml", "- name: a\n  passphrase: *hunter2\n"},
		{"a.yaml", "- name: a\n  passphrase: &hunter2 x\n"},
		{"a.yaml", "- name: a\n  passphrase: !hunter2 x\n"},
		{"a.yaml", "- name: a\n  passphrase: @hunter2\n"},
		{"a.yaml", "- name: a\n  passphrase: a: hunter2\n"},
		{"a.yaml", "- name: a\n  passphrase: \"hunter2\n"},
		{"a.yaml", "- name: a\n  passphrase:\n   hunter2\n  x\n"},
		{"a.yaml", "- name: a\n  key: rsa # passphrase: hunter2\n"},
		{"a.yaml", "passphrase: hunter2\n"},
	} {
		_, src, diags := loadRosterText(t, smallCA, tt[0], tt[1])
		if !diags.HasErrors() {
			t.Errorf("%q: no error", tt[1])
		}
		for _, d := range diags {
			snip, _ := src.Snippet(*d.Subject)
			if shown := visible(snip); strings.Contains(d.Summary+d.Detail+shown+src.Block(*d.Subject), leak) {
				t.Errorf("%q: shown by %s: %s\n%s", tt[1], d.Summary, d.Detail, shown)
			}
		}
	}
}

func visible(snip Snippet) string {
	shown, at := "", 0
	for _, h := range snip.Hidden {
		shown += snip.Text[at:h[0]]
		at = h[1]
	}
	return shown + snip.Text[at:]
}

// TestRosterPlacesOfSecretsAreShown keeps the names of variables and files
// readable, for whoever has to correct what stands beside them.
func TestRosterPlacesOfSecretsAreShown(t *testing.T) {
	for _, tt := range [][2]string{
		{"a.csv", "name,passphrase.env,key\nann,ANN_PASS,rsa\n"},
		{"a.json", `[{"name": "ann", "passphrase": {"env": "ANN_PASS"}, "key": "rsa"}]`},
		{"a.yaml", "- {name: ann, passphrase: {env: ANN_PASS}, key: rsa}\n"},
		{"a.yaml", "- {name: ann, passphrase.env: ANN_PASS, key: rsa}\n"},
	} {
		_, src, diags := loadRosterText(t, smallCA, tt[0], tt[1])
		for _, d := range diags {
			if snip, _ := src.Snippet(*d.Subject); !strings.Contains(visible(snip), "ANN_PASS") || !strings.Contains(visible(snip), "rsa") {
				t.Errorf("%q: %q hidden too much", tt[1], visible(snip))
			}
		}
		if !diags.HasErrors() {
			t.Errorf("%q: no error", tt[1])
		}
	}
}

// TestSnippetOfALongLine keeps of a file that is one line what is around the
// part that is meant, whole characters of it.
func TestSnippetOfALongLine(t *testing.T) {
	if testing.Short() {
		t.Skip("make test runs it")
	}
	many := strings.Repeat(`{"name": "ä"},`, 10_000)
	_, src, diags := loadRosterText(t, smallCA, "a.json", "["+many+`{"name": "x", "pin": "hunter2", "key": "rsa"},`+many+"{}]")
	for _, d := range diags {
		snip, ok := src.Snippet(*d.Subject)
		if marked := snip.Text[snip.Start:snip.End]; !ok || len(snip.Text) > 2*nearby+8 || d.Summary == "Unknown kind of key" && marked != `"rsa"` {
			t.Fatalf("%s: %d bytes, %q", d.Summary, len(snip.Text), marked)
		}
		if strings.Contains(visible(snip), "hunter2") || !utf8.ValidString(snip.Text) {
			t.Errorf("%s: %q", d.Summary, visible(snip))
		}
	}
}
