package spec

import "github.com/hashicorp/hcl/v2"

// unsupported are the parts of the language that are read and checked but not
// yet acted on, with what is said of them. Without its row, a part is in use.
var unsupported = map[string]string{
	"roster":     "This version does not load rosters. Write every user as a user block.",
	"csr":        "This version does not issue for a CSR that the user made. Without csr, a key is made for the user.",
	"revoked":    "This version does not revoke certificates. The database can be changed with openssl ca -revoke.",
	"overlap":    "This version does not revoke superseded certificates. Without overlap, they live until they expire.",
	"generation": "This version does not roll over to a new CA key. Leave generation at 1.",
	"guard":      "This version does not revoke certificates, so there is nothing to guard.",
	"deploy":     "This version does not put sites into place. Without the deploy block, the site is rendered into the output directory.",
}

// use is one place where a part of the language is used.
type use struct {
	part string
	at   hcl.Range
}

func (l *loader) uses(part string, at hcl.Range) {
	if _, ok := unsupported[part]; ok {
		l.used = append(l.used, use{part, at})
	}
}

func (l *loader) refuseUnsupported() {
	for _, u := range l.used {
		l.error(u.at, "Not supported by this version", unsupported[u.part])
	}
}
