package engine

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/secret"
)

// The self-check: before anything that was made can be seen, its bytes are
// read back and must be what they were meant to be. A file comes with its
// proof, so that none can be released without one. What fails is the owner's
// failure, and nothing of it was written.

// proof reads a file's bytes back and says what is wrong with them.
type proof func(data []byte) error

// check proves all that a task has made.
func (r *result) check() error {
	for _, p := range r.puts {
		if err := p.proof(p.data); err != nil {
			return plan.Errorf(plan.SelfCheck, "%s failed its self-check: %w; nothing of it was written, and what was there before is in place: if that happens on this computer alone, test its memory; if everywhere, it is a mistake of mtlsplan", p.name, err)
		}
	}
	return nil
}

// asWritten refuses PEM text that reads as what it should and is not the text
// that would be written for it: base64 has bits that nobody reads.
func asWritten(p proof) proof {
	return func(data []byte) error {
		var again []byte
		for rest := data; len(rest) > 0; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			again = append(again, pem.EncodeToMemory(block)...)
		}
		if !bytes.Equal(again, data) {
			return errors.New("its text was altered")
		}
		return p(data)
	}
}

func provesPassphrase(pass secret.Value) proof {
	return func(data []byte) error {
		if !secret.Line(data).Equal(pass) {
			return errors.New("it does not hold the passphrase")
		}
		return nil
	}
}

// provesKey opens a key file that was made in this run with the keys of its
// encryption, and the first of them with the passphrase alone.
func provesKey(public crypto.PublicKey, keys *pki.Keys, pass secret.Value, iterations int, first *firsts) proof {
	spki := pki.PublicID(public)
	again := func(data []byte) error {
		key, err := pki.ReopenKey(data, keys)
		if err == nil && pki.PublicID(key.Public()) != spki {
			err = errAnotherKey
		}
		return err
	}
	opens := first.also("key", again, provesOpens(spki, pass))
	return asWritten(func(data []byte) error {
		if info, err := pki.InspectKey(data); err != nil || info != (pki.KeyInfo{Encoding: pki.KeyEncoding, Iterations: iterations}) {
			return errors.Join(errors.New("it is not encrypted as it should be"), err)
		}
		return opens(data)
	})
}

// provesOpens also checks a key file that is only moved.
func provesOpens(spki string, pass secret.Value) proof {
	return func(data []byte) error {
		key, err := pki.OpenKey(data, pass)
		if err == nil && pki.PublicID(key.Public()) != spki {
			err = errAnotherKey
		}
		return err
	}
}

var errAnotherKey = errors.New("it holds another key")

// provesCSR is also of a request that a user has made, whose names are the user's
// own: subject is nil then.
func provesCSR(public crypto.PublicKey, subject []byte, sans []pki.SAN) proof {
	return asWritten(func(data []byte) error {
		csr, err := pki.ParseCSR(data)
		switch {
		case err != nil:
			return err
		case pki.PublicID(csr.Public) != pki.PublicID(public):
			return errAnotherKey
		case subject != nil && !bytes.Equal(csr.Subject, subject):
			return errors.New("it holds another subject")
		case subject != nil && !slices.Equal(csr.SANs, sans):
			return errors.New("it holds other subject alternative names")
		}
		return nil
	})
}

// provesUserCert is of a certificate that is in place for the user: what this
// run has issued must also meet the profile, under the CA that is current.
func provesUserCert(r *result, cert *x509.Certificate, public crypto.PublicKey, ca *x509.Certificate) proof {
	return asWritten(func(data []byte) error {
		certs, err := pki.ParseCertificates(data)
		if err != nil {
			return err
		}
		read := certs[0]
		switch {
		case len(certs) != 1 || !bytes.Equal(read.Raw, cert.Raw):
			return errors.New("it holds another certificate")
		case pki.PublicID(read.PublicKey) != pki.PublicID(public):
			return errors.New("it is for another key")
		case len(r.issued) == 0:
			return nil
		}
		switch asked := r.request; {
		case !bytes.Equal(read.RawSubject, asked.Subject) || !slices.Equal(pki.SANs(read), asked.SANs):
			return errors.New("it names somebody else")
		case read.SerialNumber.Cmp(asked.Serial) != 0:
			return errors.New("it has another serial")
		case !sameSecond(read.NotBefore, asked.NotBefore) || !sameSecond(read.NotAfter, asked.NotAfter):
			return errors.New("it has other dates")
		}
		if m := pki.UserUsage(read, ca); len(m) > 0 {
			return fmt.Errorf("its %s is %s, not %s", m[0].Field, m[0].Have, m[0].Want)
		}
		if read.NotAfter.After(ca.NotAfter) || !read.NotBefore.Before(read.NotAfter) {
			return errors.New("its validity is not within that of the CA")
		}
		return read.CheckSignatureFrom(ca)
	})
}

// firsts are the kinds of encrypted files of which a run has opened one with
// nothing but the passphrase, as its owner does it. Until one was opened so, none
// of its kind is released that only the run's own keys have opened.
type firsts struct{ opened sync.Map }

// also adds to a proof the one by the passphrase alone.
func (f *firsts) also(kind string, cheap, alone proof) proof {
	return func(data []byte) error {
		if err := cheap(data); err != nil {
			return err
		}
		if _, ok := f.opened.Load(kind); ok {
			return nil
		}
		if err := alone(data); err != nil {
			return err
		}
		f.opened.Store(kind, true)
		return nil
	}
}

// provesP12 opens a file with the keys of its encryption, and the first of each
// profile with the passphrase alone, by another's reader.
func provesP12(profile pki.Profile, cert *x509.Certificate, chain []*x509.Certificate, keys *pki.Keys, pass secret.Value, iterations int, first *firsts) proof {
	again := func(data []byte) error {
		if info, err := profile.Inspect(data); err != nil || info.Profile != profile || info.Iterations != profile.Iterations(iterations) {
			return errors.Join(fmt.Errorf("it is not encrypted as profile %s is", profile), err)
		}
		open, err := profile.Reopen(data, keys)
		if err == nil && open.Name != pki.FriendlyName(cert, chain) {
			err = errors.New("it is named otherwise")
		}
		if err != nil {
			return err
		}
		return holds(open, cert, chain)
	}
	return first.also(string(profile), again, func(data []byte) error {
		open, err := profile.Open(data, pass)
		if err != nil {
			return err
		}
		return holds(open, cert, chain)
	})
}

// holds compares what was opened with what was meant.
func holds(open *pki.P12, cert *x509.Certificate, chain []*x509.Certificate) error {
	switch {
	case pki.PublicID(open.Key.Public()) != pki.PublicID(cert.PublicKey):
		return errAnotherKey
	case !open.Cert.Equal(cert):
		return errors.New("it holds another certificate")
	case !slices.EqualFunc(open.Chain, chain, (*x509.Certificate).Equal):
		return errors.New("it holds another CA")
	}
	return nil
}

// provesCA is of the trust file. An adopted certificate may differ from the
// profile; one that this run has issued may not.
func provesCA(r *result, trust []*x509.Certificate, key crypto.PublicKey) proof {
	return asWritten(func(data []byte) error {
		certs, err := pki.ParseCertificates(data)
		if err != nil {
			return err
		}
		var meant []byte // the last character of base64 has bits that no reader looks at
		for _, c := range trust {
			meant = append(meant, pki.EncodeCertificate(c.Raw)...)
		}
		if !slices.EqualFunc(certs, trust, (*x509.Certificate).Equal) || !bytes.Equal(data, meant) {
			return errors.New("it holds other certificates")
		}
		ca := certs[0]
		if pki.PublicID(ca.PublicKey) != pki.PublicID(key) {
			return errors.New("its first certificate is for another key")
		}
		if len(r.issued) == 0 {
			return nil
		}
		switch asked := r.asked; {
		case !bytes.Equal(ca.RawSubject, asked.Subject):
			return errors.New("it has another subject")
		case ca.SerialNumber.Cmp(asked.Serial) != 0:
			return errors.New("it has another serial")
		case !sameSecond(ca.NotBefore, asked.NotBefore) || !sameSecond(ca.NotAfter, asked.NotAfter):
			return errors.New("it has other dates")
		}
		if m := pki.CAUsage(ca); len(m) > 0 {
			return fmt.Errorf("its %s is %s, not %s", m[0].Field, m[0].Have, m[0].Want)
		}
		return ca.CheckSignature(ca.SignatureAlgorithm, ca.RawTBSCertificate, ca.Signature)
	})
}

// sameSecond: what is signed has no fractions (RFC 5280 section 4.1.2.5).
func sameSecond(a, b time.Time) bool { return a.Unix() == b.Unix() }

// signedCRL is what one CRL of a file must be.
type signedCRL struct {
	ca      *x509.Certificate
	request pki.CRLRequest
	kept    []byte // DER of one that stays as it is, because its CA's key cannot be opened
}

func provesCRLs(want []signedCRL) proof {
	return asWritten(func(data []byte) error {
		lists, err := pki.ParseCRLs(data)
		if err != nil {
			return err
		}
		if len(lists) != len(want) {
			return fmt.Errorf("it holds %d CRLs, not %d", len(lists), len(want))
		}
		for i, list := range lists {
			if err := want[i].check(list); err != nil {
				return fmt.Errorf("CRL of %s: %w", pki.NameString(want[i].ca.RawSubject), err)
			}
		}
		return nil
	})
}

func (w signedCRL) check(list *x509.RevocationList) error {
	if w.kept != nil {
		if !bytes.Equal(list.Raw, w.kept) {
			return errors.New("it is not the one that was in place")
		}
		return nil
	}
	r := w.request
	if err := list.CheckSignatureFrom(w.ca); err != nil {
		return fmt.Errorf("the CA has not signed it: %w", err)
	}
	switch {
	case list.Number == nil || list.Number.Cmp(r.Number) != 0:
		return errors.New("it has another number")
	case !sameSecond(list.ThisUpdate, r.ThisUpdate) || !sameSecond(list.NextUpdate, r.NextUpdate):
		return errors.New("it has other dates")
	case len(list.RevokedCertificateEntries) != len(r.Entries):
		return fmt.Errorf("it lists %d certificates, not %d", len(list.RevokedCertificateEntries), len(r.Entries))
	}
	listed := make(map[string]x509.RevocationListEntry, len(r.Entries))
	for _, e := range list.RevokedCertificateEntries {
		listed[pki.SerialHex(e.SerialNumber)] = e
	}
	for _, e := range r.Entries {
		found, ok := listed[pki.SerialHex(e.SerialNumber)]
		if !ok || found.ReasonCode != e.ReasonCode || !sameSecond(found.RevocationTime, e.RevocationTime) {
			return fmt.Errorf("serial %s is not on it as it should be", pki.SerialHex(e.SerialNumber))
		}
	}
	return nil
}

// provesSum is of a file whose checksum is recorded.
func provesSum(sum ledger.Sum) proof {
	return func(data []byte) error {
		if sha256.Sum256(data) != sum {
			return errors.New("it is not the text that was rendered")
		}
		return nil
	}
}

// provesGit is of a file that tells git what to keep.
func provesGit(g facts.GitFile) proof {
	return func(data []byte) error {
		if g.Text = data; !g.Whole() {
			return errors.New("it lacks a line that the directory needs")
		}
		return nil
	}
}
