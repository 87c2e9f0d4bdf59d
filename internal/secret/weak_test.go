package secret

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trustelem/zxcvbn/frequency"
)

// The lists are those of the library: MTLSPLAN_UPDATE=1 writes them anew.
func TestWordLists(t *testing.T) {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(frequency.FrequencyLists)) {
		b.WriteString("\n" + strings.Join(frequency.FrequencyLists[name], "\n") + "\n")
	}
	if os.Getenv("MTLSPLAN_UPDATE") != "" {
		if err := os.WriteFile("words.txt", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if b.String() != lists {
		t.Error("words.txt is not what the library has: MTLSPLAN_UPDATE=1 go test ./internal/secret")
	}
}

func TestWeak(t *testing.T) {
	for _, weak := range []string{
		"", "x", "letmein1", "hunter2", "password", "P@ssw0rd!", "Password1234!", "Summer2024!", "qwertyuiop", "1qaz2wsx", "QWERTYUIOP123", "a-passphrase",
		"hunter2hunter2", "correct horse", "elizabeth1987", "12345678901234567890", "abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba9876543210",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abababababababababababababab", "x9!x9!x9!x9!x9!x9!x9!x9!", "kq7x2", "gX7#k", "J2n!v8Qs",
		strings.Repeat("a", MaxLen), strings.Repeat("password1!", 100), "00000000-0000-0000-0000-000000000000",
	} {
		if !Weak(New([]byte(weak))) {
			t.Errorf("%q has %.0f bits", weak, estimate(weak))
		}
	}
	for _, strong := range []string{
		"correct horse battery staple", "tulip-harbour-seventeen-otter", "gravel window eleven marmot", "gX7#kq2pLw", "kq7xw2pvmz", "5f1c09d2b7e84a36",
		strings.Repeat("a", 40) + "kq7xw2pvmz", Random().Reveal(),
	} {
		if Weak(New([]byte(strong))) {
			t.Errorf("%q has %.0f bits", strong, estimate(strong))
		}
	}
}

// Whatever a passphrase is made of, judging it takes little time.
func TestWeakIsQuick(t *testing.T) {
	for _, text := range []string{"4@8({[<369!1|0$5+7%2", "a", "ab", "password1!", "thethethe", "love"} {
		pass := New([]byte(strings.Repeat(text, MaxLen/len(text))))
		begin := time.Now()
		Weak(pass)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("%q again and again: %s", text, took)
		}
	}
}
