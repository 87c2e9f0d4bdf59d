package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

// A canary is a secret that may only be in its own place.
type canary struct {
	name  string
	forms map[string][]byte
}

// newCanary makes a secret in every form in which it could leak.
func newCanary(name string, secret []byte) canary {
	forms := map[string][]byte{"plain": secret}
	add := func(form, text string) { forms[form] = []byte(text) }
	add("hexadecimal", hex.EncodeToString(secret))
	add("HEXADECIMAL", strings.ToUpper(hex.EncodeToString(secret)))
	add("hexadecimal, spaced", fmt.Sprintf("% x", secret))
	add("hexadecimal, Go", strings.Trim(fmt.Sprintf("%#v", secret), "[]byte{}"))
	add("decimal", strings.Trim(fmt.Sprint(secret), "[]"))
	add("quoted", strings.Trim(fmt.Sprintf("%q", secret), `"`))
	add("URL, query", url.QueryEscape(string(secret)))
	add("URL, path", url.PathEscape(string(secret)))
	if escaped, err := json.Marshal(string(secret)); err == nil {
		add("JSON", strings.Trim(string(escaped), `"`))
	}
	var big, little []byte
	for _, u := range utf16.Encode([]rune(string(secret))) {
		big, little = append(big, byte(u>>8), byte(u)), append(little, byte(u), byte(u>>8))
	}
	forms["BMPString"], forms["UTF-16LE"] = big, little
	for form, b := range map[string][]byte{"base64": secret, "base64 of BMPString": big} {
		for skip := range 3 { // the bytes before it shift base64
			whole := base64.RawStdEncoding.EncodeToString(append(make([]byte, skip), b...))
			cut := whole[(skip*8+5)/6 : (skip+len(b))*8/6]
			add(fmt.Sprint(form, ", shifted by ", skip), cut)
			add(fmt.Sprint(form, " for URLs, shifted by ", skip), strings.NewReplacer("+", "-", "/", "_").Replace(cut))
		}
	}
	return canary{name, forms}
}

// in names the form in which a canary is in data, "" when it is not there. PEM in the
// data is decoded and searched, too.
func (c canary) in(data []byte) string {
	if form := c.inPlain(data); form != "" {
		return form
	}
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return ""
		}
		if form := c.inPlain(block.Bytes); form != "" {
			return form + " in PEM"
		}
	}
}

func (c canary) inPlain(data []byte) string {
	for form, text := range c.forms {
		if bytes.Contains(data, text) {
			return form
		}
	}
	return ""
}

// digests are fast hashes on which a guess could be checked: of a passphrase alone,
// and together with data beside it.
func digests(name, secret string, beside [][]byte) canary {
	c := canary{name, map[string][]byte{}}
	hashes := map[string]func() hash.Hash{"MD5": md5.New, "SHA-1": sha1.New, "SHA-224": sha256.New224, "SHA-256": sha256.New,
		"SHA-384": sha512.New384, "SHA-512": sha512.New, "SHA-512/256": sha512.New512_256}
	bmp := newCanary("", []byte(secret)).forms["BMPString"]
	inputs := map[string][]byte{"": []byte(secret), " of its line": []byte(secret + "\n"), " of BMPString": bmp, " of BMPString with its end": append(bytes.Clone(bmp), 0, 0), " of it quoted": fmt.Appendf(nil, "%q", secret)}
	add := func(how string, sum []byte) {
		c.forms[how] = sum
		c.forms[how+" in hexadecimal"] = []byte(hex.EncodeToString(sum))
		c.forms[how+" in HEXADECIMAL"] = []byte(strings.ToUpper(hex.EncodeToString(sum)))
		c.forms[how+" in base64"] = []byte(base64.RawStdEncoding.EncodeToString(sum))
		c.forms[how+" in base64 for URLs"] = []byte(base64.RawURLEncoding.EncodeToString(sum))
	}
	for how, make := range hashes {
		sum := func(parts ...[]byte) []byte {
			h := make()
			for _, p := range parts {
				h.Write(p)
			}
			return h.Sum(nil)
		}
		keyed := func(key, data []byte) []byte {
			h := hmac.New(make, key)
			h.Write(data)
			return h.Sum(nil)
		}
		for what, input := range inputs {
			add(how+what, sum(input))
			add(how+what+", twice", sum(sum(input)))
			add("HMAC-"+how+what, keyed(input, nil))
			for i, b := range beside {
				about := fmt.Sprint(what, " and what is beside it, ", i)
				add(how+about, sum(input, b))
				add(how+about+", after", sum(b, input))
				add(how+about+", nested", sum(sum(input), b))
				add(how+about+", nested, after", sum(b, sum(input)))
				add("HMAC-"+how+about, keyed(input, b))
				add("HMAC-"+how+about+", turned", keyed(b, input))
			}
		}
	}
	return c
}

// searchFiles looks for canaries in every file below dir, and in its path.
// allowed are the files that may hold one.
func searchFiles(t testing.TB, dir string, canaries []canary, allowed func(file, canary string) bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		for _, c := range canaries {
			if form := c.in(append([]byte(name+"\n"), data...)); form != "" && !allowed(filepath.ToSlash(name), c.name) {
				t.Errorf("the file %s holds %s (%s)", name, c.name, form)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCanariesAreFound(t *testing.T) {
	secret := `sing <"&>% loud`
	c := newCanary("it", []byte(secret))
	wide := utf16.Encode([]rune(secret))
	for _, text := range []string{
		secret, "x" + secret + "y", fmt.Sprintf("%x", secret), fmt.Sprint([]byte(secret)), fmt.Sprintf("%#v", []byte(secret)), fmt.Sprintf("%q", secret),
		base64.StdEncoding.EncodeToString([]byte("a" + secret + "b")), base64.URLEncoding.EncodeToString([]byte("ab" + secret)), url.QueryEscape(secret),
		string(func() []byte { b, _ := json.Marshal(map[string]string{"k": secret}); return b }()),
		string(pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: []byte(strings.Repeat("x", 50) + secret)})),
		string(func() (b []byte) {
			for _, u := range wide {
				b = append(b, byte(u>>8), byte(u))
			}
			return b
		}()),
	} {
		if c.in([]byte(text)) == "" {
			t.Errorf("not found in %q", text)
		}
	}
	if form := c.in([]byte(secret[1:] + secret[:len(secret)-1])); form != "" {
		t.Errorf("found as %s, but it is not there", form)
	}
	sum := sha256.Sum256([]byte(secret))
	if digests("it", secret, nil).in(append([]byte("x"), sum[:]...)) == "" {
		t.Error("a digest is not found")
	}
}
