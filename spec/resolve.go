package spec

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"mtlsplan/internal/config"
	"mtlsplan/internal/pki"
)

// What holds where the spec says nothing.
const (
	defaultOutput       = "pki"
	defaultCAValidity   = 3650 * day
	defaultUserValidity = 365 * day
	defaultCRLValidity  = 30 * day
	longestUserRenew    = 30 * day

	iterationsGenerated = 2048   // 140 random bits need no slow derivation
	iterationsChosen    = 600000 // OWASP's figure for PBKDF2-HMAC-SHA-256
	iterationsCompat    = 2048
)

// config fills l.cfg. The order of the steps is that in which one depends on
// another; users come last, and are not kept beyond what a [User] is.
func (l *loader) config(text []byte) {
	var others, users []part
	count := 0
	for _, p := range split(text) {
		if p.users > 0 {
			users = append(users, p)
			count += p.users
		} else {
			others = append(others, p)
		}
	}
	l.kinds = map[string][]*hclsyntax.Block{}
	for _, n := range topLevel {
		l.kinds[n] = nil
	}
	l.file = settings{output: say(l.absolute(defaultOutput), l.at)}
	l.each(text, others, l.readTop)
	l.cfg.Output = l.file.output.value
	l.readCA(l.kinds["ca"])
	l.readDefaults(l.kinds["defaults"])
	l.readSites(l.kinds)
	l.checkCA()
	l.checkSubject(l.defaults.subject, l.defaults.subject.subject())
	l.people = newPeople(count)
	l.users = make(map[string]hcl.Range, count)
	l.cfg.Users = make([]User, 0, count)
	l.readUsers()
	l.each(text, users, func(body *hclsyntax.Body) {
		l.readTop(body)
		l.readUsers()
	})
	slices.SortFunc(l.cfg.Users, func(a, b User) int { return cmp.Compare(a.Origin.Start.Byte, b.Origin.Start.Byte) })
	l.readRosters(l.kinds["roster"])
	l.checkSiteFiles()
	l.readGuard(l.kinds["guard"])
	l.refuseUnsupported()
	l.giveAdvice()
}

// readTop reads the attributes of a top-level body and sorts its blocks.
func (l *loader) readTop(body *hclsyntax.Body) {
	for name, attr := range body.Attributes {
		if l.top[name] {
			ours := syntax[redefined]
			l.error(attr.NameRange, ours.summary, ours.detail)
			delete(body.Attributes, name)
		}
		l.top[name] = true
	}
	l.read(body, inFile, "A spec", &l.file)
	for _, b := range body.Blocks {
		if _, known := l.kinds[b.Type]; known {
			l.kinds[b.Type] = append(l.kinds[b.Type], b)
		} else {
			l.unknownBlock(b, "A spec", attributeNames(inFile), topLevel)
		}
	}
}

// only returns the one block of a kind that may be given once.
// The others are read as well, for what is wrong in them.
func (l *loader) only(found []*hclsyntax.Block, is scope, what string) *hclsyntax.Block {
	if len(found) == 0 {
		return nil
	}
	for _, b := range found[1:] {
		l.secondBlock(b, found[0])
		l.readBlock(b, is, what, &settings{})
	}
	return found[0]
}

// readBlock reads a block of the table with the subject and crl blocks in it.
func (l *loader) readBlock(b *hclsyntax.Block, is scope, what string, s *settings) {
	s.header, s.body = b.DefRange(), b.Body
	l.read(b.Body, is, what, s)
	for name, in := range l.inner(b.Body, what, attributeNames(is), blockNames(is)) {
		switch name {
		case "subject":
			s.subjectBody = in.Body
			l.read(in.Body, inSubject, "A subject", s)
			l.inner(in.Body, "A subject", attributeNames(inSubject), nil)
		case "crl":
			s.crl = &settings{header: in.DefRange()}
			l.read(in.Body, inCRL, "A crl block", s.crl)
			l.inner(in.Body, "A crl block", attributeNames(inCRL), nil)
		}
	}
}

func (l *loader) readCA(found []*hclsyntax.Block) {
	l.ca = settings{crl: &settings{}}
	b := l.only(found, inCA, "A ca block")
	if b == nil {
		l.missing(l.at, "No certificate authority", `A spec needs exactly one block ca "NAME" { … }. To see what a spec looks like, have one written:
mtlsplan init`)
		return
	}
	l.ca.name, _ = l.label(b, map[string]hcl.Range{})
	l.readBlock(b, inCA, "A ca block", &l.ca)
	if l.ca.crl == nil {
		l.ca.crl = &settings{}
	}
	s := &l.ca
	l.cfg.CA = CA{
		Name:               s.name,
		Origin:             s.header,
		Subject:            s.subject.subject(),
		Key:                s.key.or(said[pki.KeyType]{value: pki.RSA4096}).value,
		Passphrase:         s.passphrase.or(generated).value,
		PreviousPassphrase: s.previousPassphrase.value,
		Generation:         s.generation.or(said[int]{value: 1}).value,
	}
	ca := &l.cfg.CA
	ca.Validity, ca.RenewBefore = l.period(s.validity, s.renewBefore, defaultCAValidity, maxDuration)
	ca.CRLValidity, ca.CRLRenewBefore = l.period(s.crl.validity, s.crl.renewBefore, defaultCRLValidity, maxDuration)
	ca.KDFIterations = iterations(s.kdfIterations, ca.Passphrase)
}

var generated = said[config.Source]{value: config.Source{Kind: config.Generated}}

// checkCA judges what must be known of the sites beforehand.
func (l *loader) checkCA() {
	s := &l.ca
	if s.body == nil {
		return
	}
	l.checkSubject(s.subject, l.cfg.CA.Subject)
	l.checkPrevious(s.passphrase.or(generated), s.previousPassphrase)
	cn := s.subject[fieldCN]
	switch {
	case !cn.set && !tried(s.subjectBody, "common_name") && (s.subjectBody != nil || !tried(s.body, "subject")):
		l.missing(s.header, "CA without a common name", `The CA's certificate needs a name that people recognise: subject { common_name = "…" }.`)
	case len([]rune(cn.value)) > maxCACommonName && len([]rune(cn.value)) <= 64:
		l.error(cn.at, "Common name too long",
			fmt.Sprintf("The common name of a CA has at most %d characters, because its generation is added to it (\" G2\") and certificates take 64.", maxCACommonName))
	}
}

// tried reports whether a body holds what is called name, be it misspelled or
// of the wrong kind. That was reported, so that it is not missing besides.
func tried(body *hclsyntax.Body, name string) bool {
	if body == nil {
		return false
	}
	for attr := range body.Attributes {
		if suggest(attr, []string{name}) != "" {
			return true
		}
	}
	return slices.ContainsFunc(body.Blocks, func(b *hclsyntax.Block) bool { return suggest(b.Type, []string{name}) != "" })
}

func (l *loader) readDefaults(found []*hclsyntax.Block) {
	b := l.only(found, inDefaults, "A defaults block")
	if b == nil {
		return
	}
	l.noLabel(b)
	l.readBlock(b, inDefaults, "A defaults block", &l.defaults)
	for _, i := range []int{fieldCN, fieldEmail} {
		if at := l.defaults.subject[i]; at.set {
			l.error(at.at, "Personal field in the defaults", fmt.Sprintf("%s differs from user to user, so it belongs into each user's block.", subjectFields[i].name))
			l.defaults.subject[i] = said[string]{}
		}
	}
	if d := l.defaults; d.validity.set && d.renewBefore.set {
		l.period(d.validity, d.renewBefore, defaultUserValidity, longestUserRenew)
	}
}

// period settles a validity and when before its end renewal is due.
func (l *loader) period(validity, renew said[time.Duration], initial, longest time.Duration) (time.Duration, time.Duration) {
	v := validity.or(said[time.Duration]{value: initial}).value
	if !renew.set {
		return v, min(v/3, longest)
	}
	if renew.value >= v {
		l.tooEarly(validity, renew, v)
	}
	return v, renew.value
}

// tooEarly points at what was written last, which is usually what is wrong.
func (l *loader) tooEarly(validity, renew said[time.Duration], v time.Duration) {
	at, length, lead := renew.at, "validity", "renew_before"
	switch {
	case !validity.set:
		length += ", where nothing is said,"
	case l.src.compare(validity.at, renew.at) > 0:
		at = validity.at
		lead += ", " + place(renew.at) + ","
	default:
		length += ", " + place(validity.at) + ","
	}
	pair := [2]hcl.Range{validity.at, renew.at}
	if l.early[pair] {
		return
	}
	l.early[pair] = true
	l.error(at, "Renewal before issuance",
		fmt.Sprintf("%s is %s and %s is %s, so it would be due as soon as it is issued. renew_before must be shorter than validity.",
			lead, config.FormatDuration(renew.value), length, config.FormatDuration(v)))
}

func iterations(asked said[int], pass config.Source) int {
	switch {
	case asked.set:
		return asked.value
	case pass.Kind == config.Generated:
		return iterationsGenerated
	}
	return iterationsChosen
}

// readUsers reads the user blocks that were found since it last did.
func (l *loader) readUsers() {
	for _, b := range l.kinds["user"] {
		s := settings{}
		name, ok := l.label(b, l.users)
		s.name = name
		l.readBlock(b, inUser, "A user block", &s)
		if ok {
			l.addUser(&s)
		}
	}
	l.kinds["user"] = nil
}

// addUser completes a user with what the defaults and the CA leave to it.
func (l *loader) addUser(s *settings) {
	d := &l.defaults
	own := l.userSubject(s)
	complete := own.inherit(d.subject).inherit(l.ca.subject)
	pass := s.passphrase.or(d.passphrase).or(generated)
	profiles := s.p12.or(d.p12).or(said[[]pki.Profile]{value: []pki.Profile{pki.Compat}})
	rounds := s.kdfIterations.or(d.kdfIterations)
	u := User{
		Name:               s.name,
		Origin:             s.header,
		Subject:            complete.subject(),
		Key:                s.key.or(d.key).or(said[pki.KeyType]{value: pki.ECDSAP256}).value,
		ReuseKey:           s.reuseKey.or(d.reuseKey).value,
		Passphrase:         pass.value,
		PreviousPassphrase: s.previousPassphrase.value,
		ChallengePassword:  s.challengePassword.value,
		P12:                profiles.value,
		KDFIterations:      iterations(rounds, pass.value),
		CSR:                s.csr.value,
		Revoked:            s.revoked.value,
	}
	u.Validity, u.RenewBefore = l.period(s.validity.or(d.validity), s.renewBefore.or(d.renewBefore), defaultUserValidity, longestUserRenew)
	if o := s.overlap.or(d.overlap); o.set {
		u.Overlap = &o.value
	}
	l.checkSubject(own, u.Subject)
	l.checkPeople(u, own[fieldEmail])
	if s.csr.set {
		l.checkRequest(s)
	} else {
		l.checkPrevious(pass, s.previousPassphrase)
		l.checkChallenge(pass, s.challengePassword)
		l.checkEncryption(u, pass, s.key.or(d.key), rounds)
	}
	l.cfg.Users = append(l.cfg.Users, u)
}

func (l *loader) readGuard(found []*hclsyntax.Block) {
	b := l.only(found, inGuard, "A guard block")
	if b == nil {
		return
	}
	s := settings{}
	l.noLabel(b)
	l.readBlock(b, inGuard, "A guard block", &s)
	if s.maxRevocations.set {
		l.cfg.Guard.MaxRevocations = &s.maxRevocations.value
	}
	l.uses("guard", s.header)
}
