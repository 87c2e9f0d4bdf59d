package ledger

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// HandoutsName is the file that remembers what users were given, relative to the output
// directory.
const HandoutsName = "db/handouts"

// Handouts is what was handed out, by certificate. A line of its file is the SHA-256 of
// the certificate's DER in lower-case hex, the time in RFC 3339, and the owner, with a
// space between them. Only the first decides anything, so that a user keeps what they
// have been given under another name.
type Handouts struct {
	Broken int // lines that could not be read, which are lost with the next writing

	given []handout
	known map[Sum]bool
}

type handout struct {
	sum   Sum
	at    time.Time
	owner string
}

// ParseHandouts reads a file. Whoever stands in a line that cannot be read counts as
// somebody who was given nothing: to give twice does no harm.
func ParseHandouts(text []byte) *Handouts {
	h := &Handouts{known: map[Sum]bool{}}
	for line := range strings.Lines(string(unmarked(text))) {
		if !h.parse(strings.TrimSuffix(line, "\n"), strings.HasSuffix(line, "\n")) {
			h.Broken++
		}
	}
	return h
}

func (h *Handouts) parse(line string, whole bool) bool {
	digits, rest, _ := strings.Cut(line, " ")
	at, owner, _ := strings.Cut(rest, " ")
	sum, err := hex.DecodeString(digits)
	t, errTime := time.Parse(time.RFC3339, at)
	if !whole || err != nil || errTime != nil || len(sum) != len(Sum{}) || !IsUser(owner) {
		return false
	}
	h.add(handout{Sum(sum), t, owner})
	return true
}

func (h *Handouts) add(one handout) {
	h.given = append(h.given, one)
	h.known[one.sum] = true
}

// Has reports whether a certificate was handed out.
func (h *Handouts) Has(cert Sum) bool { return h.known[cert] }

// At is when a certificate was handed out last, zero where it was not.
func (h *Handouts) At(cert Sum) (at time.Time) {
	for _, one := range h.given {
		if one.sum == cert {
			at = one.at
		}
	}
	return at
}

// Add records that a user was given a certificate. What they were given before is
// forgotten: it is not the newest any more.
func (h *Handouts) Add(owner string, cert Sum, at time.Time) {
	h.add(handout{cert, at, owner})
}

// Text is the file, a line for each user, in the order of time.
func (h *Handouts) Text() []byte {
	last := map[string]int{}
	for i, g := range h.given {
		last[g.owner] = i
	}
	var b strings.Builder
	for i, g := range h.given {
		if last[g.owner] == i {
			fmt.Fprintf(&b, "%x %s %s\n", g.sum, g.at.UTC().Format(time.RFC3339), g.owner)
		}
	}
	return []byte(b.String())
}
