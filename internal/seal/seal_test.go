package seal

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"mtlsplan/internal/secret"
)

const (
	ageKey = "age1vllx2qngavungxuzwsudvxy86h9c2wwgzpvyycfpxhf0r5qr7qnsrqgyf5"
	ageID  = "AGE-SECRET-KEY-139J7T050L93GEP0YJGM7VMKDU5L0P6A45RLT94K5777VTP2XG22SA87FSE"
	sshKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGSG8Iud59W2Y3hW/rY90eNSqEeFjaBxGMT4p+RM0Xzf"
)

func TestParseRecipient(t *testing.T) {
	for _, c := range []struct{ text, want, wrong string }{
		{ageKey, ageKey, ""},
		{"  " + ageKey + "\n", ageKey, ""},
		{sshKey, sshKey, ""},
		{sshKey + " ann at home", sshKey, ""},
		{"\t" + strings.ReplaceAll(sshKey, " ", "   "), sshKey, ""},
		{"", "", "Empty recipient"},
		{ageID, "", "Private key in a spec"},
		{strings.ToLower(ageID), "", "Private key in a spec"},
		{sshKey + " " + ageID, "", "Private key in a spec"},
		{"-----BEGIN OPENSSH PRIVATE KEY-----", "", "Private key in a spec"},
		{"AGE-PLUGIN-YUBIKEY-1QQQ", "", "Private key in a spec"},
		{"age1yubikey1qqqq", "", "Recipient in hardware"},
		{"age1tag1qqqq", "", "Recipient in hardware"},
		{"age1pq1qqqq", "", "Recipient of the newest age only"},
		{ageKey[:len(ageKey)-1], "", "Recipient that cannot be read"},
		{ageKey[:30] + "1" + ageKey[31:], "", "Recipient that cannot be read"},
		{ageKey + " ann", "", "More than a recipient"},
		{"sk-ssh-ed25519@openssh.com AAAA", "", "SSH key that cannot be sealed to"},
		{"ssh-dss AAAA", "", "SSH key that cannot be sealed to"},
		{"ssh-rsa AAAA", "", "SSH key that cannot be read"},
		{"ssh-ed25519", "", "SSH key without its text"},
		{strings.Fields(sshKey)[1], "", "SSH key without its type"},
		{"keys/ops.pub", "", "Recipient in a file"},
		{"ops", "", "Not a recipient"},
	} {
		have, err := ParseRecipient(c.text)
		if c.wrong == "" {
			if have != c.want || err != nil {
				t.Errorf("%q: %q, %v", c.text, have, err)
			}
			continue
		}
		bad, ok := errors.AsType[*RecipientError](err)
		if !ok || bad.What != c.wrong || bad.Secret != (c.wrong == "Private key in a spec") || strings.Contains(err.Error(), "139J7T050") {
			t.Errorf("%q: %v, want %s", c.text, err, c.wrong)
		}
	}
}

func TestSplitRecipients(t *testing.T) {
	for line, want := range map[string][]string{
		"":                                    nil,
		ageKey + "  " + ageKey:                {ageKey, ageKey},
		sshKey + " " + ageKey:                 {sshKey, ageKey},
		sshKey + " ann at home " + ageKey:     {sshKey, ageKey},
		sshKey + " a " + sshKey + " b":        {sshKey, sshKey},
		ageKey + " or so " + sshKey:           {ageKey, "or so", sshKey},
		sshKey + " ann " + ageID + " at home": {sshKey, ageID + " at home"},
		sshKey + " ann AAAAB3Nz":              {sshKey, "AAAAB3Nz"},
		"ssh-ed25519":                         {"ssh-ed25519"},
		"ssh-ed25519 " + ageKey:               {"ssh-ed25519 " + ageKey},
	} {
		if have := SplitRecipients(line); !slices.Equal(have, want) {
			t.Errorf("%q: %q, want %q", line, have, want)
		}
	}
}

// What is sealed comes out again, and only for a recipient; whatever becomes of the file,
// nothing else does.
func TestSealAndOpen(t *testing.T) {
	pass := secret.Random()
	sealed, err := Seal(pass, []string{ageKey, sshKey})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte(pass.Reveal())) || !bytes.HasPrefix(sealed, []byte("-----BEGIN AGE ENCRYPTED FILE-----\n")) {
		t.Fatalf("%s", sealed)
	}
	id := parse(t, "# a comment\n\n"+ageID+"\r\n")
	if !slices.Equal(id.Recipients(), []string{ageKey}) || !id.Opens([]string{sshKey, ageKey}) || id.Opens([]string{sshKey}) {
		t.Errorf("%q", id.Recipients())
	}
	for _, text := range [][]byte{sealed, bytes.ReplaceAll(sealed, []byte("\n"), []byte("\r\n"))} {
		if have, err := id.Open(text); err != nil || !have.Equal(pass) {
			t.Errorf("%q: %v", text, err)
		}
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parse(t, other.String()).Open(sealed); !errors.Is(err, ErrOther) {
		t.Errorf("another identity: %v", err)
	}
	if _, err := parse(t, other.String()+"\n"+ageID).Open(sealed); err != nil {
		t.Errorf("two identities: %v", err)
	}
	for i := range sealed {
		damaged := bytes.Clone(sealed)
		damaged[i] ^= 0x10
		if have, err := id.Open(damaged); err == nil && !have.Equal(pass) {
			t.Fatalf("byte %d altered: %q", i, have.Reveal())
		}
		if _, err := id.Open(sealed[:i]); err == nil && i < len(sealed)-1 {
			t.Fatalf("%d bytes of %d open", i, len(sealed))
		}
	}
	for _, text := range []string{"", "x", pass.Reveal() + "\n"} {
		if err := Inspect([]byte(text)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := Seal(pass, nil); err == nil {
		t.Error("a passphrase is sealed to nobody")
	}
	if said := fmt.Sprintf("%v %+v %#v", id, id, *id); strings.Contains(strings.ToUpper(said), "SECRET") {
		t.Errorf("an identity shows itself: %s", said)
	}
}

func parse(t *testing.T, text string) *Identity {
	t.Helper()
	id, err := ParseIdentity(secret.New([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// No error about an identity quotes it.
func TestIdentityErrors(t *testing.T) {
	for _, text := range []string{"", "# none", "tweet77", ageID[:60] + "1TWEET77", "AGE-SECRET-KEY-PQ-1TWEET77", "AGE-PLUGIN-X-1TWEET77", ageKey, sshKey,
		"-----BEGIN OPENSSH PRIVATE KEY-----\ntweet77\n", "-----BEGIN OPENSSH PRIVATE KEY-----\ntweet77\n-----END OPENSSH PRIVATE KEY-----", "-----BEGIN AGE ENCRYPTED FILE-----\ntweet77"} {
		_, err := ParseIdentity(secret.New([]byte(text)))
		if err == nil || strings.Contains(strings.ToLower(err.Error()), "tweet77") || strings.Contains(err.Error(), "139J7T050") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzRecipients(f *testing.F) {
	for _, line := range []string{ageKey, sshKey + " ann " + ageKey, ageID, "age1yubikey1q x"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, word := range SplitRecipients(line) {
			r, err := ParseRecipient(word)
			if err != nil {
				continue
			}
			if again, err := ParseRecipient(r); again != r || err != nil {
				t.Errorf("%q is %q, and then %q, %v", word, r, again, err)
			}
			if _, err := Seal(secret.New([]byte("x")), []string{r}); err != nil {
				t.Errorf("%q: %v", r, err)
			}
		}
	})
}

func FuzzIdentity(f *testing.F) {
	f.Add(ageID, []byte("age-encryption.org/v1\n"))
	f.Add("# x\n"+ageID+"\n-----BEGIN OPENSSH PRIVATE KEY-----\nAA==\n-----END OPENSSH PRIVATE KEY-----", []byte("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n"))
	f.Fuzz(func(t *testing.T, text string, sealed []byte) {
		if id, err := ParseIdentity(secret.New([]byte(text))); err == nil {
			_, _ = id.Open(sealed)
		}
	})
}
