package inventory

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/secret"
	"mtlsplan/internal/statcache"
)

// The facts of a record: a [keyRecord], behind which a user's has what packUser
// writes. It says nothing of the spec, and holds no secret and nothing that would
// make guessing one cheaper than it is with the files.

// keyRecord says that a key file opens with the passphrase from a source.
type keyRecord struct {
	contents        // of the key file; cert is a user's certificate
	challenged bool // a user's request holds a challenge password, which is not kept
	iterations int
	sealed     ledger.Sum // of the file of a sealed passphrase, zero for one that is not
	kind       config.SourceKind
	path       string      // of the passphrase's file, where that is the source
	source     outdir.Stat // of it
	pass, key  outdir.Stat // of the files; they are the first stats of the record
}

// keyRecordOf makes the record of a key that was opened; ok is false where it would
// tell less.
func keyRecordOf(src config.Source, p passphrases, pass facts.Passphrase, key facts.Key, passFile, keyFile file) (k keyRecord, ok bool) {
	if pass.Err != nil || key.Missing || key.Opening != facts.OpensNow || key.Info.Encoding != pki.KeyEncoding || keyFile.content.Stat == (outdir.Stat{}) {
		return k, false
	}
	k = keyRecord{contents: contents{typ: key.Type, spki: key.SPKI}, iterations: key.Info.Iterations, kind: src.Kind, key: keyFile.content.Stat}
	switch src.Kind {
	case config.Generated:
		k.pass = passFile.content.Stat
		return k, !pass.Missing && k.pass != (outdir.Stat{})
	case config.FromFile:
		k.path, k.source = src.File, p.source
		return k, pass.Missing && k.source != (outdir.Stat{})
	}
	return k, pass.Missing
}

// bound reports whether the passphrase is from the same source as it was, and
// certainly the same. A variable and a program cannot be told to be the same.
func (k *keyRecord) bound(src config.Source, pass outdir.Stat) bool {
	switch {
	case k.kind != src.Kind:
		return false
	case src.Kind == config.Generated:
		return k.pass == pass
	case src.Kind == config.FromFile:
		info, ok := secret.Ref(src).Info()
		return ok && k.path == src.File && k.source == sourceStat(info)
	}
	return false
}

func (k *keyRecord) packed() string {
	var b statcache.Packer
	b.Sum(k.cert)
	b.Text(k.spki)
	b.Text(string(k.typ))
	b.Flag(k.challenged)
	b.Number(int64(k.iterations))
	b.Number(int64(k.kind))
	switch k.kind {
	case config.FromFile:
		b.Text(k.path)
		b.Stat(k.source)
	case config.Generated:
		if b.Flag(k.sealed != ledger.Sum{}); k.sealed != (ledger.Sum{}) {
			b.Sum(k.sealed)
		}
	}
	return string(b)
}

func (k *keyRecord) unpack(u *statcache.Unpacker) {
	k.cert, k.spki, k.typ = u.Sum(), u.Text(), pki.KeyType(u.Text())
	k.challenged, k.iterations, k.kind = u.Flag(), int(u.Number()), config.SourceKind(u.Number())
	switch k.kind {
	case config.FromFile:
		k.path, k.source = u.Text(), u.Stat()
	case config.Generated:
		if u.Flag() {
			k.sealed = u.Sum()
		}
	}
}

// keyRecord reads the head of a record, which may be nil.
func (r *Reader) keyRecord(rec *statcache.Record) (k keyRecord, ok bool) {
	if rec == nil || rec.Facts == "" {
		return k, false
	}
	u := statcache.Unpacker{Rest: rec.Facts}
	k.unpack(&u)
	k.pass, k.key = rec.Stats.At(atPass), rec.Stats.At(atKey)
	return k, !u.Bad
}

// headOf reads of a user's record what the ledger is asked for.
func headOf(rec *statcache.Record) (cert ledger.Sum, spki string) {
	u := statcache.Unpacker{Rest: rec.Facts}
	return u.Sum(), u.Text()
}

// packUser writes what the files of a user hold that fit together.
func packUser(f *facts.User) string {
	var b statcache.Packer
	for _, p := range f.P12 {
		b.Text(string(p.Info.Profile))
		b.Text(p.Info.Encoding)
		b.Number(int64(p.Info.Iterations))
	}
	c, n := f.Crt.Cert, &f.Crt.Cert.Name
	for _, s := range []string{c.Serial, c.Issuer, c.Authority, n.Country, n.Province, n.Locality, n.Organization, n.OrganizationalUnit, n.CommonName, n.Email} {
		b.Text(s)
	}
	b.Number(c.NotBefore.Unix())
	b.Number(c.NotAfter.Unix())
	for _, s := range c.SANs {
		b.Text(s.Value)
	}
	return string(b)
}

// unpacked is the facts of a user who is known by a record, and what they point to.
type unpacked struct {
	facts.User
	cert    facts.Certificate
	request facts.Request
}

var errRecord = errors.New("what is remembered of the user cannot be read: remove " + statcache.Name)

// unpack reads a record, over the one before, whose lists it takes again.
func (f *unpacked) unpack(rec *statcache.Record, spec *config.User, owner plan.Owner, base string) error {
	file := func(kind plan.Kind, at int) facts.File {
		s := rec.Stats.At(at)
		return facts.File{Kind: kind, Path: facts.UserPath(base, kind), Missing: s == outdir.Stat{}, Mode: fs.FileMode(s.Mode) & fs.ModePerm}
	}
	var k keyRecord
	u := statcache.Unpacker{Rest: rec.Facts}
	k.unpack(&u)
	p12, sans := f.P12[:0], f.cert.SANs[:0]
	f.User = facts.User{Owner: owner}
	f.Passphrase.File, f.Passphrase.Made = file(facts.PassKind(spec.Seal), atPass), true
	f.Key = facts.Key{File: file(plan.KindKey, atKey), Opening: facts.OpensNow, Type: k.typ, SPKI: k.spki,
		Info: pki.KeyInfo{Encoding: pki.KeyEncoding, Iterations: k.iterations}}
	f.CSR = facts.RequestFile{File: file(plan.KindCSR, atCSR), Request: &f.request}
	f.Crt = facts.CertificateFile{File: file(plan.KindCrt, atCrt), Cert: &f.cert, Alone: true}
	f.Recorded = &f.cert
	for i, profile := range spec.P12 {
		p12 = append(p12, facts.P12{
			File: file(facts.P12Kind(i, profile), atP12+i), Profile: profile, Opening: facts.OpensNow, Cert: k.cert, SPKI: k.spki,
			Info: pki.P12Info{Profile: pki.Profile(u.Text()), Encoding: u.Text(), Iterations: int(u.Number())},
		})
	}
	f.P12 = p12
	f.cert = facts.Certificate{Sum: k.cert, SPKI: k.spki, Serial: u.Text(), Issuer: u.Text(), Authority: u.Text(), Plain: true, Version: 3}
	f.cert.Name = pki.Subject{Country: u.Text(), Province: u.Text(), Locality: u.Text(), Organization: u.Text(), OrganizationalUnit: u.Text(), CommonName: u.Text(), Email: u.Text()}
	f.cert.NotBefore, f.cert.NotAfter = time.Unix(u.Number(), 0).UTC(), time.Unix(u.Number(), 0).UTC()
	for u.Rest != "" {
		sans = append(sans, pki.SAN{Type: pki.SANEmail, Value: u.Text()})
	}
	f.cert.SANs = sans
	f.request = facts.Request{SANs: sans, SPKI: k.spki, Type: k.typ}
	if u.Bad {
		return errRecord
	}
	return nil
}

// packEntries writes the entries of issued.pem.
func packEntries(list []ledger.Entry) string {
	const numbers = 9 * binary.MaxVarintLen32
	size := binary.MaxVarintLen64
	for i := range list {
		e := &list[i]
		size += numbers + len(e.Owner) + len(e.Sum) + len(e.SPKI) + len(e.Serial) + len(e.Issuer) + len(e.Authority) + len(e.Number)
	}
	b := make(statcache.Packer, 0, size) // of 100,000 entries it is long, and growing it would copy it again and again
	b.Number(int64(len(list)))
	for i := range list {
		e := &list[i]
		b.Text(e.Owner)
		b.Number(e.At)
		b.Number(e.Size)
		b.Sum(e.Sum)
		for _, s := range []string{e.SPKI, e.Serial, e.Issuer, e.Authority, e.Number} {
			b.Text(s)
		}
		b.Number(e.NotAfter)
	}
	return string(b)
}

// unpackEntries reads them; nil for what cannot be read.
func unpackEntries(packed string) []ledger.Entry {
	u := statcache.Unpacker{Rest: packed}
	n := u.Number()
	if n < 0 || n > int64(len(packed))/int64(len(ledger.Sum{})) {
		return nil
	}
	list := make([]ledger.Entry, n)
	for i := range list {
		list[i] = ledger.Entry{Owner: u.Text(), At: u.Number(), Size: u.Number(), Sum: u.Sum(),
			SPKI: u.Text(), Serial: u.Text(), Issuer: u.Text(), Authority: u.Text(), Number: u.Text(), NotAfter: u.Number()}
	}
	if u.Bad || u.Rest != "" {
		return nil
	}
	return list
}
