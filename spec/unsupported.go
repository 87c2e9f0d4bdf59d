package spec

import "github.com/hashicorp/hcl/v2"

// unsupported are the parts of the language that are read and checked but not
// yet acted on, with what is said of them. Without its row, a part is in use.
var unsupported = map[string]string{
	"deploy": "This version does not put sites into place. Without the deploy block, the site is rendered into the output directory.",
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
