package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"mtlsplan/internal/config"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// The defaults, and bounds of them.
const (
	defaultOutput       = "pki"
	defaultCAValidity   = 3650 * day
	defaultUserValidity = 365 * day
	defaultCRLValidity  = 30 * day
	longestUserRenew    = 30 * day

	iterationsGenerated = 2048 // 140 random bits need no slow derivation
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
	l.file = fileBlock{output: say(l.absolute(defaultOutput), l.at)}
	l.each(text, others, l.readTop)
	l.cfg.VersionControl = l.file.versionControl.value
	l.readSeal(l.kinds["seal"])
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
	l.readMoved(l.kinds["moved"])
	l.checkSiteFiles()
	l.checkGroups()
	l.checkCheckout()
	if l.cfg.Output == "" && l.file.output.set {
		l.cfg.Output = l.file.output.value
		l.checkOutput()
	}
	l.readGuard(l.kinds["guard"])
	l.checkSeal()
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
	l.readAttributes(body, l.file.target())
	for _, b := range body.Blocks {
		if _, known := l.kinds[b.Type]; known {
			l.kinds[b.Type] = append(l.kinds[b.Type], b)
		} else {
			l.unknownBlock(b, inFile.title(), attributeNames(inFile), topLevel)
		}
	}
}

// only returns the one block of a kind that may be given once.
// The others are read as well, into spare, for what is wrong in them.
func (l *loader) only(found []*hclsyntax.Block, spare target) *hclsyntax.Block {
	if len(found) == 0 {
		return nil
	}
	for _, b := range found[1:] {
		l.secondBlock(b, found[0])
		l.readBlock(b.Body, spare)
	}
	return found[0]
}

func (l *loader) readCA(found []*hclsyntax.Block) {
	b := l.only(found, new(caBlock).target())
	if b == nil {
		l.missing(l.at, "No certificate authority", `A spec needs exactly one block ca "NAME" { … }. To see what a spec looks like, create one:
mtlsplan init`)
		return
	}
	s := &l.ca
	s.name, _ = l.label(b, map[string]hcl.Range{})
	s.origin, s.body = b.DefRange(), b.Body
	l.readBlock(b.Body, s.target())
	l.cfg.CA = CA{
		Name:               s.name,
		Origin:             s.origin,
		Subject:            s.subject.subject(),
		Key:                s.key.or(said[pki.KeyType]{value: pki.RSA4096}).value,
		Passphrase:         s.passphrase.or(generated).value,
		PreviousPassphrase: s.previousPassphrase.value,
		Generation:         s.generation.or(said[int]{value: 1}).value,
	}
	ca := &l.cfg.CA
	for _, g := range s.compromised.value {
		if g.value >= ca.Generation {
			l.error(g.at, "Generation that cannot be compromised", fmt.Sprintf(`The CA is at generation %d, and only an earlier one can be left behind. Raise generation first: generation = %d, compromised = [%d].`,
				ca.Generation, ca.Generation+1, ca.Generation))
			continue
		}
		ca.Compromised = append(ca.Compromised, g.value)
	}
	ca.Validity, ca.RenewBefore = l.period(s.validity, s.renewBefore, defaultCAValidity, maxDuration)
	ca.CRLValidity, ca.CRLRenewBefore = l.period(s.crl.validity, s.crl.renewBefore, defaultCRLValidity, maxDuration)
	ca.KDFIterations = iterations(s.kdfIterations, ca.Passphrase)
	if ca.Passphrase.Kind == config.Generated {
		ca.Seal = l.seal.recipients.value
	}
}

var generated = said[config.Source]{value: config.Source{Kind: config.Generated}}

// checkCA checks what depends on the sites, which are read before it.
func (l *loader) checkCA() {
	s := &l.ca
	if s.body == nil {
		return
	}
	l.checkSubject(s.subject, l.cfg.CA.Subject)
	l.checkPrevious(s.passphrase.or(generated), s.previousPassphrase)
	cn := s.subject[fieldCN]
	switch {
	case !cn.set && !triedCommonName(s.body):
		l.missing(s.origin, "CA without a common name", `The CA's certificate needs a name that people recognise: subject { common_name = "…" }.`)
	case len([]rune(cn.value)) > maxCACommonName && len([]rune(cn.value)) <= 64:
		l.error(cn.at, "Common name too long",
			fmt.Sprintf("The common name of a CA has at most %d characters, because its generation is added to it (\" G2\") and certificates take 64.", maxCACommonName))
	}
}

// triedCommonName reports whether the body of a ca block means to say one.
func triedCommonName(ca *hclsyntax.Body) bool {
	for _, b := range ca.Blocks {
		if b.Type == "subject" {
			return tried(b.Body, "common_name")
		}
	}
	return tried(ca, "subject")
}

// tried reports whether a body has an attribute or block of that name, be it
// misspelled or the wrong one of the two. That was reported, so it is not
// reported as missing as well.
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
	b := l.only(found, new(defaultsBlock).target())
	if b == nil {
		return
	}
	l.noLabel(b)
	l.readBlock(b.Body, l.defaults.target())
	for _, i := range []int{fieldCN, fieldEmail} {
		if at := l.defaults.subject[i]; at.set {
			l.error(at.at, "Personal field in the defaults", fmt.Sprintf("%s differs from user to user, so it belongs in each user's block.", subjectFields[i].name))
			l.defaults.subject[i] = said[string]{}
		}
	}
	if d := l.defaults; d.validity.set && d.renewBefore.set {
		l.period(d.validity, d.renewBefore, defaultUserValidity, longestUserRenew)
	}
}

// period settles a validity, and how long before its end renewal is due.
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

// renewSpread settles over how long before renew_before a user may fall due.
func (l *loader) renewSpread(asked said[time.Duration], u User) time.Duration {
	rest := u.Validity - u.RenewBefore
	switch {
	case !asked.set:
		return max(0, min(u.RenewBefore/3, rest/2))
	case asked.value >= rest && rest > 0 && !l.early[[2]hcl.Range{asked.at}]:
		l.early[[2]hcl.Range{asked.at}] = true
		l.error(asked.at, "Renewal before issuance",
			fmt.Sprintf("renew_spread is %s. For user %q, renew_before is %s and validity is %s, so the certificate could be due for renewal as soon as it is issued. renew_before and renew_spread together must be shorter than validity.",
				config.FormatDuration(asked.value), u.Name, config.FormatDuration(u.RenewBefore), config.FormatDuration(u.Validity)))
	}
	return asked.value
}

// tooEarly points at what was written last, which is usually what is wrong.
func (l *loader) tooEarly(validity, renew said[time.Duration], v time.Duration) {
	at, length, lead := renew.at, "validity", "renew_before"
	switch {
	case !validity.set:
		length += ", by default,"
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
		fmt.Sprintf("%s is %s and %s is %s, so a certificate or CRL would be due for renewal as soon as it is issued. renew_before must be shorter than validity.",
			lead, config.FormatDuration(renew.value), length, config.FormatDuration(v)))
}

func iterations(asked said[int], pass config.Source) int {
	switch {
	case asked.set:
		return asked.value
	case pass.Kind == config.Generated:
		return iterationsGenerated
	}
	return config.IterationsChosen
}

// readUsers reads the user blocks that were found since it last did.
func (l *loader) readUsers() {
	for _, b := range l.kinds["user"] {
		name, ok := l.label(b, l.users)
		s := userBlock{owner: owner{name: name, origin: b.DefRange()}}
		l.readBlock(b.Body, s.target())
		if ok {
			l.addUser(&s)
		}
	}
	l.kinds["user"] = nil
}

// addUser completes a user with what it inherits from the defaults and the CA.
func (l *loader) addUser(s *userBlock) {
	d := &l.defaults
	own := l.userSubject(s)
	complete := own.inherit(d.subject).inherit(l.ca.subject)
	pass := s.passphrase.or(d.passphrase).or(generated)
	profiles := s.p12.or(d.p12).or(said[[]pki.Profile]{value: []pki.Profile{pki.Compat}})
	rounds := s.kdfIterations.or(d.kdfIterations)
	u := User{
		Name:               s.name,
		Origin:             s.origin,
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
		Groups:             s.groups.or(d.groups).value,
	}
	u.Validity, u.RenewBefore = l.period(s.validity.or(d.validity), s.renewBefore.or(d.renewBefore), defaultUserValidity, longestUserRenew)
	u.RenewSpread = l.renewSpread(s.renewSpread.or(d.renewSpread), u)
	if o := s.overlap.or(d.overlap); o.set {
		u.Overlap = &o.value
	}
	l.checkSubject(own, u.Subject)
	if s.csr.set {
		l.checkRequest(s)
	} else {
		l.sealUser(&u, s)
		l.checkPrevious(pass, s.previousPassphrase)
		l.checkChallenge(pass, s.challengePassword)
		l.checkEncryption(u, pass, s.key.or(d.key), rounds)
	}
	l.checkInClear(s, pass, u.Seal)
	for i, u := range l.onDevices(s, u) {
		l.checkPeople(u, own[fieldEmail], i > 0)
		l.cfg.Users = append(l.cfg.Users, u)
	}
}

// onDevices gives a user once for each device, and as it is without any.
func (l *loader) onDevices(s *userBlock, u User) []User {
	if !s.devices.set {
		return []User{u}
	}
	var out []User
	for _, d := range s.devices.value {
		key := strings.ToLower(s.name + "." + d.value)
		if first, taken := l.users[key]; taken {
			l.error(d.at, "Device with the files of another user",
				fmt.Sprintf("The files of this device would be called %s.%s, as those of the user %s are, and upper and lower case do not tell them apart. Give the device another name.", s.name, d.value, place(first)))
			continue
		}
		l.users[key], l.onDevice[key] = d.at, d.at
		on := u
		on.Name, on.Device, on.Origin = s.name+plan.DeviceSign+d.value, d.value, d.at
		on.Subject.CommonName += " (" + d.value + ")"
		if length := utf8.RuneCountInString(on.Subject.CommonName); length > maxCommonName && utf8.RuneCountInString(u.Subject.CommonName) <= maxCommonName {
			l.error(d.at, "Common name too long", fmt.Sprintf("The certificate of this device would be called %q, and a common name has at most %d characters (RFC 5280); this has %d. Give the device a shorter name, or the user a shorter common_name.",
				on.Subject.CommonName, maxCommonName, length))
		}
		out = append(out, on)
	}
	return out
}

func (l *loader) readGuard(found []*hclsyntax.Block) {
	b := l.only(found, new(guardBlock).target())
	if b == nil {
		return
	}
	l.noLabel(b)
	s := guardBlock{}
	l.readBlock(b.Body, s.target())
	if s.maxRevocations.set {
		l.cfg.Guard.MaxRevocations = &s.maxRevocations.value
	}
}
