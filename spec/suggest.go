package spec

import (
	"strconv"
	"strings"

	"github.com/agext/levenshtein"
)

// otherNames are words that people bring from openssl and similar tools.
var otherNames = map[string]string{
	"password":         "passphrase",
	"old_passphrase":   "previous_passphrase",
	"days":             "validity",
	"lifetime":         "validity",
	"renew":            "renew_before",
	"iterations":       "kdf_iterations",
	"key_type":         "key",
	"algorithm":        "key",
	"emailaddress":     "email",
	"mail":             "email",
	"cn":               "common_name",
	"c":                "country",
	"st":               "province",
	"state":            "province",
	"l":                "locality",
	"city":             "locality",
	"o":                "organization",
	"ou":               "organizational_unit",
	"out":              "output",
	"git":              "version_control",
	"vcs":              "version_control",
	"users":            "user",
	"client":           "user",
	"authority":        "ca",
	"default":          "defaults",
	"path":             "file",
	"cmd":              "command",
	"exec":             "command",
	"variable":         "env",
	"environment":      "env",
	"rsa2048":          "rsa-2048",
	"ecdsa":            "ecdsa-p256",
	"ec":               "ecdsa-p256",
	"p-256":            "ecdsa-p256",
	"prime256v1":       "ecdsa-p256",
	"secp384r1":        "ecdsa-p384",
	"legacy":           "compat",
	"left":             "cessationOfOperation",
	"lost":             "keyCompromise",
	"compromised":      "keyCompromise",
	"proxy_pass":       "upstream",
	"ssl_verify":       "verify",
	"ssl_certificate":  "certificate",
	"certificate_path": "certificate",
}

// suggest returns the one of names that given was probably meant to be, ""
// when none is near.
func suggest(given string, names []string) string {
	lower := strings.ToLower(given)
	best, bestDistance := "", min(2, len(lower)/2)+1
	for _, name := range names {
		if other := otherNames[lower]; other == name {
			return name
		}
		if d := distance(lower, strings.ToLower(name)); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// distance is that of Levenshtein, where two neighbours that changed places
// count once.
func distance(a, b string) int {
	if len(a) == len(b) {
		for i := 1; i < len(a); i++ {
			if a[i] != a[i-1] && a[:i-1]+a[i:i+1]+a[i-1:i]+a[i+1:] == b {
				return 1
			}
		}
	}
	return levenshtein.Distance(a, b, nil)
}

// orList is "a", "b" or "c".
func orList(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = strconv.Quote(n)
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}

// didYouMean ends the detail of a problem with a name: with a suggestion, or
// else with all the names there are.
func didYouMean(given string, names []string) string {
	if s := suggest(given, names); s != "" {
		return "Did you mean " + strconv.Quote(s) + "?"
	}
	return "It must be one of these: " + strings.Join(names, ", ") + "."
}
