package pki

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// NameOneLine prints a DER name as OpenSSL's X509_NAME_oneline does, which is
// the form of index.txt: "/C=US/O=Mattermost", bytes that are not printable
// ASCII as \xHH, a slash and a plus sign in a value with a backslash.
func NameOneLine(der []byte) string {
	rdns, err := parseName(der)
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, rdn := range rdns {
		for i, a := range rdn {
			if i == 0 {
				b.WriteByte('/')
			} else {
				b.WriteByte('+')
			}
			b.WriteString(a.typeName() + "=")
			for _, c := range a.raw {
				switch {
				case c < ' ' || c > '~':
					fmt.Fprintf(&b, `\x%02X`, c)
				case c == '/' || c == '+':
					b.WriteByte('\\')
					b.WriteByte(c)
				default:
					b.WriteByte(c)
				}
			}
		}
	}
	return b.String()
}

var escapes = regexp.MustCompile(`\\(x[0-9A-F]{2}|[/+])`)

// CommonNameIn is the common name in a name that [NameOneLine] has printed; "" where it
// cannot be told.
func CommonNameIn(oneline string) string {
	_, name, _ := strings.Cut(oneline, "/CN=")
	name, _, _ = strings.Cut(name, "/emailAddress=")
	name = escapes.ReplaceAllStringFunc(name, func(sign string) string {
		if b, err := strconv.ParseUint(strings.TrimPrefix(sign[1:], "x"), 16, 8); err == nil {
			return string([]byte{byte(b)})
		}
		return sign[1:]
	})
	if !utf8.ValidString(name) {
		return ""
	}
	return name
}
