// Package seal encrypts generated passphrases to recipients, and opens them with an
// identity, in the format of age (age-encryption.org/v1), armored: the age program reads
// what it writes. Recipients are X25519 keys of age, and SSH keys of type ssh-ed25519 and
// ssh-rsa. It touches no file.
package seal

import (
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
)

// RecipientError says what is wrong with a recipient, and never quotes it where it could
// be a secret.
type RecipientError struct {
	What   string // as the title of a diagnostic
	Why    string // and what to do
	Secret bool   // what was given is, or holds, a private key
}

func (e *RecipientError) Error() string { return e.What + ": " + e.Why }

// recipientForms says what a recipient looks like.
const recipientForms = `A recipient is the public half of a key: "age1…", as age-keygen prints it, or "ssh-ed25519 AAAA…" or "ssh-rsa AAAA…", as a .pub file of ssh-keygen has it.`

// ParseRecipient checks a recipient and gives it in its one form: "age1…", or the type of
// an SSH key and its base64, without the comment that may follow. The error is a
// [RecipientError].
func ParseRecipient(text string) (string, error) {
	fields := strings.Fields(text)
	upper := strings.ToUpper(text)
	fail := func(what, why string) (string, error) { return "", &RecipientError{What: what, Why: why} }
	switch {
	case strings.Contains(upper, "AGE-SECRET-KEY-") || strings.Contains(upper, "AGE-PLUGIN-") || strings.Contains(upper, "-----BEGIN"):
		return "", &RecipientError{What: "Private key in a spec", Secret: true,
			Why: "A private key opens what is sealed, so it never stands in a spec. Put its public half here: age-keygen -y prints that of an age key, ssh-keygen -y that of an SSH key. If anybody else could read this file, make a new key."}
	case len(fields) == 0:
		return fail("Empty recipient", recipientForms)
	case strings.HasPrefix(strings.ToLower(fields[0]), "age1"):
		return parseAge(fields)
	case fields[0] == "ssh-ed25519" || fields[0] == "ssh-rsa":
		if len(fields) == 1 {
			return fail("SSH key without its text", fmt.Sprintf(`Behind %s stands the key itself, as in "%s AAAA…": copy the whole line of the .pub file.`, fields[0], fields[0]))
		}
		key := fields[0] + " " + fields[1]
		if _, err := agessh.ParseRecipient(key); err != nil {
			if fields[0] == "ssh-rsa" && strings.Contains(err.Error(), "size") {
				return fail("SSH key too short", "An RSA key needs at least 2048 bits. Make a new one with ssh-keygen -t ed25519.")
			}
			return fail("SSH key that cannot be read", "The text of the key is not whole, or was altered. Copy the line of the .pub file once more.")
		}
		return key, nil
	case isSSH(fields[0]):
		return fail("SSH key that cannot be sealed to", fmt.Sprintf("age can encrypt to ssh-ed25519 and ssh-rsa, and not to %s: such a key can only sign. Name a key of one of those two types (ssh-keygen -t ed25519), or one of age-keygen.", fields[0]))
	case strings.HasPrefix(fields[0], "AAAA"):
		return fail("SSH key without its type", `The type stands before the text of the key, as in "ssh-ed25519 AAAA…": copy the whole line of the .pub file.`)
	case strings.ContainsAny(fields[0], "/~") || strings.HasSuffix(fields[0], ".pub"):
		return fail("Recipient in a file", "A recipient is written out here, and no file is read. Copy the line that the file holds.")
	}
	return fail("Not a recipient", recipientForms)
}

func isSSH(word string) bool {
	return strings.HasPrefix(word, "ssh-") || strings.HasPrefix(word, "ecdsa-") || strings.HasPrefix(word, "sk-")
}

// begins reports whether a word is one that a recipient begins with.
func begins(word string) bool {
	lower := strings.ToLower(word)
	return strings.HasPrefix(lower, "age1") || isSSH(word)
}

func parseAge(fields []string) (string, error) {
	fail := func(what, why string) (string, error) { return "", &RecipientError{What: what, Why: why} }
	if len(fields) > 1 {
		return fail("More than a recipient", "A recipient of age is one word, and nothing follows it. Give each recipient by itself.")
	}
	text := fields[0]
	if r, err := age.ParseX25519Recipient(text); err == nil {
		return r.String(), nil
	}
	// The data of a recipient has no "1" (bech32), so that another one ends the name of a plugin.
	kind, _, other := strings.Cut(strings.TrimPrefix(strings.ToLower(text), "age1"), "1")
	const longestName = 20 // more is a mistyped recipient
	switch {
	case kind == "pq" && other:
		return fail("Recipient of the newest age only", "age1pq1… is a post-quantum key, which the age of today's distributions cannot open. Name a key that age-keygen makes without -pq.")
	case other && len(kind) <= longestName:
		return fail("Recipient in hardware", fmt.Sprintf("age1%s1… is a key of the plugin age-plugin-%s, and mtlsplan runs no plugins. Make a key with age-keygen and name its recipient; its identity file can itself be encrypted to the hardware key, with age -r age1%s1….", kind, kind, kind))
	}
	return fail("Recipient that cannot be read", "A character of it is missing, or is another than it should be. Copy it once more: age-keygen -y prints it.")
}

// SplitRecipients takes a line apart that names several recipients, separated by blanks.
// An SSH key is two words, and whatever follows until the next recipient begins is its
// comment.
func SplitRecipients(line string) []string {
	var out []string
	var open bool                    // an SSH key, whose text is next
	comment, strange := false, false // what the last word was
	for word := range strings.FieldsSeq(line) {
		switch {
		case open:
			out[len(out)-1] += " " + word
			open, comment, strange = false, true, false
		case begins(word):
			out = append(out, word)
			open, comment, strange = isSSH(word), false, false
		case comment && !suspicious(word):
		case strange:
			out[len(out)-1] += " " + word
		default:
			out = append(out, word) // ParseRecipient says what is wrong with it
			comment, strange = false, true
		}
	}
	return out
}

// suspicious reports whether a word is no comment: it is, or could be, a key.
func suspicious(word string) bool {
	upper := strings.ToUpper(word)
	return strings.HasPrefix(word, "AAAA") || strings.Contains(upper, "AGE") && len(word) > 40 || strings.HasPrefix(upper, "AGE-") || strings.HasPrefix(word, "-----")
}
