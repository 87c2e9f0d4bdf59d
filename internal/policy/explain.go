package policy

import (
	"slices"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

// hearer is a view that keeps the answers of policies.
type hearer interface {
	hear(code plan.Code, check plan.CheckName, holds string, found []finding)
}

// audience keeps the answers that are given of an owner who is to be explained. The
// zero audience hears nothing.
type audience struct {
	answers *[]plan.Answer
	path    func(plan.Kind) facts.Path // of an artefact of the owner
	csr     bool                       // key and passphrase are the user's own
	closed  bool                       // its passphrase is sealed, and what it opens is taken for what it should be
	waits   bool                       // it is to be sealed to others, which only the identity can
}

// audience is who hears what is answered of an owner.
func (j *judgement) audience(owner plan.Owner) audience {
	if j.Ask.Explain != owner || owner == "" {
		return audience{}
	}
	ca := j.Config.CA.Name
	csr := slices.ContainsFunc(j.Config.Users, func(u config.User) bool { return plan.User(u.Name) == owner && u.CSR != "" })
	path := func(kind plan.Kind) facts.Path { return facts.CAPath(ca, kind) }
	if user, ok := owner.UserName(); ok {
		path = func(kind plan.Kind) facts.Path { return facts.UserPath(facts.Base(user, ca), kind) }
	}
	for i := range j.Config.Sites {
		if s := &j.Config.Sites[i]; plan.Site(s.Proxy.Name, s.Name) == owner {
			path = func(plan.Kind) facts.Path { return facts.At(s.Settings.File) }
		}
	}
	return audience{answers: &j.verdict.Answers, path: path, csr: csr}
}

const everyP12 = "every .p12 is there"

// pointless reports whether a policy asks about what an owner does not have, so that what it
// says of nobody is not said of this one either: of a csr user about a key, a passphrase
// and a .p12, and of any other about a request from elsewhere.
func (a audience) pointless(code plan.Code, check plan.CheckName, holds string) bool {
	if !a.csr {
		return code == plan.Upstream && check == plan.CSRMatches
	}
	return code == plan.PassphraseChanged || code == plan.KeyMismatch || holds == everyP12 ||
		slices.Contains([]plan.CheckName{plan.Encodings, plan.P12Opens, plan.P12Matches}, check)
}

// hear keeps an answer: what a policy has found, or else what is so.
func (a audience) hear(code plan.Code, check plan.CheckName, holds string, found []finding) {
	if a.answers == nil || len(found) == 0 && a.pointless(code, check, holds) {
		return
	}
	if a.csr && code == plan.KeyChanged {
		holds = "the certificate is for the key of the request"
	}
	answer := plan.Answer{Code: code, Check: check, Holds: holds}
	if a.closed && slices.Contains([]plan.CheckName{plan.KeyOpens, plan.KeyMatches, plan.P12Opens, plan.P12Matches}, check) {
		answer.Holds += ", as far as can be told while the passphrase is sealed"
	}
	if a.waits && holds == storedAsAsked {
		answer.Holds = "the generated passphrase is sealed otherwise than the spec asks, and stays so until apply runs where the identity is"
	}
	file := func(name string) {
		if !slices.Contains(answer.Files, name) {
			answer.Files = append(answer.Files, name)
		}
	}
	for _, f := range found {
		answer.Reasons = append(answer.Reasons, f.Reason)
		for _, kind := range f.makes {
			if kind == plan.KindDB {
				file(ledger.IndexName)
				continue
			}
			file(a.path(kind).String())
		}
		for _, files := range [][]facts.File{f.fixes, f.removes} {
			for i := range files {
				file(files[i].Name())
			}
		}
	}
	*a.answers = append(*a.answers, answer)
}

const (
	keptOut   = "whoever is not to have a certificate has no valid one, and no file is left"
	neverIn   = "no certificate was ever issued to the user, so there is nothing to revoke, and no file is left"
	waitsToGo = "the serial of the certificate is that of others too, and it is revoked once they need it no longer"
)

// hearDeparted answers of a user who is not to have a certificate, and has none.
func (j *judgement) hearDeparted() {
	owner := j.Ask.Explain
	_, user := owner.UserName()
	never := j.Ledger.IssuedTo(string(owner)).Len() == 0
	if len(j.verdict.Answers) > 0 || !user || j.refusedOrFailed(owner) {
		return
	}
	code, listed := plan.Removed, false
	for i := range j.Config.Users {
		if u := &j.Config.Users[i]; plan.User(u.Name) == owner {
			if u.Revoked == "" {
				return
			}
			code, listed = plan.Revoked, true
		}
	}
	switch {
	case len(j.Ledger.Valid(string(owner), j.Now)) > 0:
		j.audience(owner).hear(code, plan.KeptOut, waitsToGo, nil)
	case !never:
		j.audience(owner).hear(code, plan.KeptOut, keptOut, nil)
	case listed:
		j.audience(owner).hear(code, plan.KeptOut, neverIn, nil)
	}
}

// refusedOrFailed reports whether it is said already why nothing is done for an owner.
func (j *judgement) refusedOrFailed(owner plan.Owner) bool {
	return slices.ContainsFunc(j.verdict.Plan.Failures, func(f plan.Failure) bool { return f.Owner == owner }) ||
		slices.ContainsFunc(j.verdict.Plan.Steps, func(s plan.Step) bool { return s.Owner == owner })
}
