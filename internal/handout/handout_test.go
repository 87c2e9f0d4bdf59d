package handout

import (
	"bytes"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPutCompletes: what a killed run has left, a part of a file or some of the files, is
// completed, and nothing of it stays.
func TestPutCompletes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "given")
	files := []File{{Name: "a.p12", Data: []byte("key")}, {Name: "index.html", Data: []byte("page")}}
	if err := Put(dir, "ada", files[:1], false); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ada", ".index.html.part"), []byte("pa"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Put(dir, "ada", files, false); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "ada"))
	if err != nil || len(entries) != 2 {
		t.Fatalf("%v %v", entries, err)
	}
	for _, f := range files {
		have, err := os.ReadFile(filepath.Join(dir, "ada", f.Name))
		if err != nil || !bytes.Equal(have, f.Data) {
			t.Errorf("%s: %q %v", f.Name, have, err)
		}
	}
}

// TestPutIsAllOrNothing: one file of somebody else's, and none is written.
func TestPutIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "ada"), 0o700); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(dir, "ada", "index.html")
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Put(dir, "ada", []File{{Name: "a.p12", Data: []byte("key")}, {Name: "index.html", Data: []byte("page")}}, false)
	if !errors.Is(err, ErrTaken) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ada", "a.p12")); err == nil {
		t.Error("a part was written")
	}
	if have, _ := os.ReadFile(mine); string(have) != "mine" {
		t.Errorf("overwritten: %q", have)
	}
}

// TestAppleProfile: texts stay in their places, the same profile gives the same bytes, and
// another certificate another profile of the same name.
func TestAppleProfile(t *testing.T) {
	p := Profile{ID: `m.<a>&"b`, Cert: [32]byte{1}, Name: "</string><key>Password</key>", Service: "S & T", File: "a.p12", P12: []byte{0, 1, 2}}
	text := AppleProfile(p)
	if !bytes.Equal(text, AppleProfile(p)) {
		t.Error("two profiles of one certificate differ")
	}
	if strings.Contains(string(text), "<key>Password") {
		t.Error("a text has left its place")
	}
	dec := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := dec.Token(); err != nil {
			if err.Error() != "EOF" {
				t.Error(err)
			}
			break
		}
	}
	p.Cert[0] = 2
	other := string(AppleProfile(p))
	id := "<string>mtlsplan." + identifier(p.ID) + "</string>"
	if other == string(text) || !strings.Contains(other, id) || !strings.Contains(string(text), id) {
		t.Error("the new profile does not take the place of the old one")
	}
	if identifier("m.a_b") == identifier("m.a-b") || identifier("m.ada.laptop") != "m.ada.laptop" {
		t.Error("two users share an identifier, or one is changed for nothing")
	}
}
