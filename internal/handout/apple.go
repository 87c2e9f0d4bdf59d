package handout

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strings"
)

// Profile is what a configuration profile of Apple is made of.
type Profile struct {
	ID      string            // names the profile on a device: one of the same ID takes the place of the other
	Cert    [sha256.Size]byte // SHA-256 of the certificate's DER
	Name    string            // what a person knows the certificate by
	Service string            // who gives it
	File    string            // name of the .p12
	P12     []byte
}

// AppleProfile is a .mobileconfig with one payload of the type com.apple.security.pkcs12
// (Apple, Configuration Profile Reference, "Certificate Payload"), as an XML property
// list. It has no Password, so that the device asks for the passphrase. The CA is not
// among the payloads: a device that trusted it would let it vouch for any website. The
// same profile gives the same bytes.
func AppleProfile(p Profile) []byte {
	id := "mtlsplan." + identifier(p.ID)
	text := func(s string) string { return element("string", []byte(s)) }
	identity := dict(
		"PayloadContent", element("data", []byte(base64.StdEncoding.EncodeToString(p.P12))),
		"PayloadCertificateFileName", text(p.File),
		"PayloadDescription", text("Key and certificate"),
		"PayloadDisplayName", text(p.Name),
		"PayloadIdentifier", text(id+".identity"),
		"PayloadType", text("com.apple.security.pkcs12"),
		"PayloadUUID", text(uuid(id+".identity", p.Cert)),
		"PayloadVersion", "<integer>1</integer>",
	)
	profile := dict(
		"PayloadContent", "<array>\n"+identity+"\n</array>",
		"PayloadDescription", text("Installs the certificate with which "+p.Service+" lets you in."),
		"PayloadDisplayName", text(p.Name),
		"PayloadIdentifier", text(id),
		"PayloadOrganization", text(p.Service),
		"PayloadRemovalDisallowed", "<false/>",
		"PayloadScope", text("User"), // macOS: into the login keychain
		"PayloadType", text("Configuration"),
		"PayloadUUID", text(uuid(id, p.Cert)),
		"PayloadVersion", "<integer>1</integer>",
	)
	return []byte(xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n" +
		`<plist version="1.0">` + "\n" + profile + "\n</plist>\n")
}

// dict is a dictionary of keys and elements in turn.
func dict(pairs ...string) string {
	var b strings.Builder
	b.WriteString("<dict>\n")
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "<key>%s</key>\n%s\n", pairs[i], pairs[i+1])
	}
	b.WriteString("</dict>")
	return b.String()
}

func element(name string, text []byte) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, text) // into memory
	return "<" + name + ">" + b.String() + "</" + name + ">"
}

// identifier keeps what may stand in a reverse-DNS name. Where it has to leave something
// out, a digest keeps two names apart.
func identifier(text string) string {
	plain := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '-'
	}, text)
	if plain != text {
		plain += fmt.Sprintf("-%x", sha256.Sum256([]byte(text)))[:9]
	}
	return plain
}

// uuid is the same for the same profile (RFC 9562 section 5.8, a UUID of version 8).
func uuid(id string, cert [sha256.Size]byte) string {
	sum := sha256.Sum256(append([]byte(id+"\x00"), cert[:]...))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]))
}
