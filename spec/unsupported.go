package spec

import "github.com/hashicorp/hcl/v2"

// unsupported are the parts of the language that are read and checked but not
// acted on, with the message for each. A part without a row is supported.
var unsupported = map[string]string{
	"deploy": "This version does not deploy sites. Without the deploy block, the site is rendered in the output directory.",
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
