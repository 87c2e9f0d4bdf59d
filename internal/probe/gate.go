package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Visitor is somebody who comes to the site.
type Visitor struct {
	Who         string           // for people: "user.ada", or "a client without a certificate"
	Certificate *tls.Certificate // nil for none
	In          bool             // whether the site is to let them in
}

// Leg is one visitor over one version of TLS, and what they were answered last.
type Leg struct {
	Visitor
	Version uint16 // [tls.VersionTLS12] or [tls.VersionTLS13]
	Answer  Answer
	Err     error // why there was no answer; nil where there was one
}

// Finding is what a leg comes to.
type Finding int

// What a leg comes to, the worst last.
const (
	AsWanted Finding = iota
	Silent           // nobody answers
	Stale            // the proxy serves another text of the site than the one that is wanted
	ShutOut          // somebody who is to get in is refused
	Open             // somebody who is to stay out gets in
)

// Finding compares the answer with what is wanted of a site.
func (l *Leg) Finding(to Target) Finding {
	switch {
	case l.Err != nil:
		return Silent
	case l.Answer.Unmarked():
		return Stale
	case l.Answer.In && !l.In:
		return Open
	case to.Gate != "" && l.Answer.Gate != "" && l.Answer.Gate != to.Gate:
		return Stale // which may also be why a good user is refused
	case !l.Answer.In && l.In:
		return ShutOut
	}
	return AsWanted
}

// tell says what is wrong with a leg, for people, behind whose it is.
func (l *Leg) tell(to Target) string {
	switch l.Finding(to) {
	case Silent:
		return fmt.Sprintf("gets no answer: %v; whether the gate is shut is not known", l.Err)
	case Open:
		return fmt.Sprintf("is let in (%s) and must be refused: the gate is open", l.Answer.Words())
	case Stale:
		if l.Answer.Unmarked() {
			return fmt.Sprintf("is refused by NGINX (%s) and not by the site in place: the proxy has not read it yet, or serves another one", l.Answer.Words())
		}
		what := "is let in"
		if !l.Answer.In {
			what = "is refused"
		}
		return fmt.Sprintf("%s by another text of the site (%s) than the one in place (%s): the proxy has not read it yet", what, l.Answer.Gate, to.Gate)
	case ShutOut:
		return fmt.Sprintf("is refused (%s) and must be let in: people with good certificates are shut out", l.Answer.Words())
	}
	return "is answered as wanted"
}

// Words is an answer for people: its status, or how the handshake ended.
func (a Answer) Words() string {
	if a.Alert != "" {
		return "TLS alert: " + a.Alert
	}
	text := fmt.Sprintf("status %d", a.Status)
	if a.Status == http.StatusBadGateway || a.Status == http.StatusGatewayTimeout {
		text += ", the application does not answer"
	}
	if title := a.Title(); title != "" {
		text += fmt.Sprintf(", %q", title)
	}
	return text
}

// ownRefusals are the sentences with which NGINX refuses a client where the site has no
// page of its own (ngx_http_special_response.c).
var ownRefusals = []string{"No required SSL certificate was sent", "The SSL certificate error"}

// Unmarked reports whether NGINX itself has refused the visitor for the certificate, and
// the site is none that mtlsplan has written: its refusals have no checksum.
func (a Answer) Unmarked() bool { return a.ownRefusal() != "" }

func (a Answer) ownRefusal() string {
	if a.Status != http.StatusBadRequest || a.Gate != "" {
		return ""
	}
	for _, r := range ownRefusals {
		if strings.Contains(a.Page, r) {
			return r
		}
	}
	return ""
}

// Title is what the page of a refusal says: its heading, such as "Your certificate was
// revoked", or NGINX's own sentence; "" where the page is the application's.
func (a Answer) Title() string {
	if own := a.ownRefusal(); own != "" || a.In {
		return own
	}
	_, rest, _ := strings.Cut(a.Page, "<h1>")
	title, _, found := strings.Cut(rest, "</h1>")
	if !found || strings.ContainsAny(title, "<>&\r\n") || len(title) > 80 {
		return ""
	}
	return title
}

// GateError is a gate that was not found as wanted before the time was up.
type GateError struct {
	Target Target
	Legs   []Leg // those that stayed wrong, worst first
}

// Worst is the worst of what was found.
func (e *GateError) Worst() Finding { return e.Legs[0].Finding(e.Target) }

func (e *GateError) Error() string {
	if silent := e.Legs[0].Err; e.Worst() == Silent && !slices.ContainsFunc(e.Legs, func(l Leg) bool { return l.Err.Error() != silent.Error() }) {
		return fmt.Sprintf("%s; whether the gate of %s is shut is not known", silent, e.Target.ServerName)
	}
	var lines []string
	for i := 0; i < len(e.Legs); i++ {
		l := &e.Legs[i]
		over := tls.VersionName(l.Version)
		if i+1 < len(e.Legs) && e.Legs[i+1].Who == l.Who && e.Legs[i+1].tell(e.Target) == l.tell(e.Target) {
			i++
			over += " and " + strings.TrimPrefix(tls.VersionName(e.Legs[i].Version), "TLS ")
		}
		lines = append(lines, fmt.Sprintf("%s, over %s, %s", l.Who, over, l.tell(e.Target)))
	}
	text := fmt.Sprintf("%s at %s: %s", e.Target.ServerName, e.Target.Address, strings.Join(lines, "; "))
	if e.Target.Gate != "" && !slices.ContainsFunc(e.Legs, func(l Leg) bool { return l.Answer.Gate != "" || l.Err != nil }) {
		text += "; or another site answers there: does nginx.conf include the file of this one?"
	}
	return text
}

// pause is between two rounds of questions, and clean is how many in a row have to be as
// wanted.
const (
	pause = 50 * time.Millisecond
	clean = 3
)

// Gate asks for each visitor over each of [Versions], who is to be refused first, until
// all are answered as wanted in three rounds in a row, or the context ends. The error is
// then a [GateError] that names every leg that was wrong in the last whole round, and nil
// where none was.
//
// It repeats because after a reload NGINX's old processes still take connections for a
// moment, here and there one behind others that the new ones have taken: an answer with
// another checksum than the target's does not count.
func Gate(ctx context.Context, to Target, visitors []Visitor) error {
	var legs []Leg
	for _, v := range visitors {
		for _, version := range Versions {
			legs = append(legs, Leg{Visitor: v, Version: version})
		}
	}
	slices.SortStableFunc(legs, func(a, b Leg) int {
		switch {
		case a.In == b.In:
			return 0
		case b.In:
			return -1
		}
		return 1
	})
	var wrong []Leg // in the last round that the context has not cut short
	good := 0
	for first := true; ; first = false {
		var now []Leg
		for i := range legs {
			legs[i].Answer, legs[i].Err = Ask(ctx, to, legs[i].Certificate, legs[i].Version)
		}
		for i := range legs {
			if legs[i].Finding(to) != AsWanted && !spareable(legs, i) {
				now = append(now, legs[i])
			}
		}
		if good++; len(now) > 0 {
			good = 0
		}
		if good == clean {
			return nil
		}
		ended := !sleep(ctx, pause)
		if first || !ended || good > 0 {
			wrong = now
		}
		switch {
		case ended && len(wrong) == 0:
			return nil
		case ended:
			slices.SortStableFunc(wrong, func(a, b Leg) int { return cmp.Compare(b.Finding(to), a.Finding(to)) })
			return &GateError{to, wrong}
		}
	}
}

// spareable reports whether a leg is over a version that the server does not speak,
// while it speaks another one with the same visitor.
func spareable(legs []Leg, i int) bool {
	return legs[i].Answer.Unspoken() && slices.ContainsFunc(legs, func(l Leg) bool {
		return l.Who == legs[i].Who && l.Err == nil && !l.Answer.Unspoken()
	})
}

// sleep waits, and reports whether the context has not ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
