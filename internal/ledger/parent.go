package ledger

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"iter"
	"strings"
	"time"

	"mtlsplan/internal/pki"
)

// parents begins the owner of certificates of the CAs above one of ours: those of
// ca.NAME stand behind "parent.NAME" in issued.pem.
const parents = "parent."

// ParentOwner is the owner of the certificates of the CAs above a CA, which is itself
// given by its owner.
func ParentOwner(ca string) string { return parents + strings.TrimPrefix(ca, "ca.") }

// unlisted begins the owner of a row of which only the CRL of a generation tells.
const unlisted = "unknown.G"

// UnlistedOwner is the owner of certificates that only the CRL of a generation tells of.
func UnlistedOwner(generation int) string { return fmt.Sprintf("%s%d", unlisted, generation) }

// Foreign reports whether another CA has signed the certificate of a CA or of one of
// its parents. Its serial is of that CA's numbers, so index.txt, which has the
// serials of ours, has no row of it: a user's certificate may have the same.
func (e *Entry) Foreign() bool { return e.foreign }

func foreign(owner string, der []byte) bool {
	if IsUser(owner) {
		return false
	}
	if strings.HasPrefix(owner, parents) {
		return true
	}
	cert, err := x509.ParseCertificate(der)
	return err == nil && !bytes.Equal(cert.RawIssuer, cert.RawSubject)
}

// Parents are the recorded certificates of the CAs above a CA, in the order in which
// they were taken over.
func (l *Ledger) Parents(ca string) []*x509.Certificate {
	var out []*x509.Certificate
	for _, at := range l.issued[ParentOwner(ca)] {
		if cert, err := x509.ParseCertificate(l.entries[at].DER); err == nil {
			out = append(out, cert)
		}
	}
	return out
}

// TrustFile is what the file of CA certificates holds where some CAs of ours are
// trusted: each, and behind it those above it, up to the one that signs itself.
func (l *Ledger) TrustFile(ca string, trusted []*x509.Certificate) []*x509.Certificate {
	if l == nil || !l.above {
		return trusted
	}
	parents := l.Parents(ca)
	var out []*x509.Certificate
	has := map[string]bool{}
	for _, own := range trusted {
		above, _ := pki.Above(own, parents)
		for _, c := range append([]*x509.Certificate{own}, above...) {
			if len(c.Raw) == 0 || !has[string(c.Raw)] {
				out, has[string(c.Raw)] = append(out, c), true
			}
		}
	}
	return out
}

// Above reports whether certificates of CAs above ours are recorded: then the DER of
// every entry has to be at hand, for [Ledger.Fingerprints].
func (l *Ledger) Above() bool { return l.above }

// Fingerprints are the serials and the SHA-1 fingerprints, in lower-case hex, of the
// certificates of users that have not ended before a moment and are not revoked, in
// the order of issue.
func (l *Ledger) Fingerprints(since time.Time) iter.Seq2[string, string] {
	return func(yield func(serial, fingerprint string) bool) {
		for i := range l.entries {
			e := &l.entries[i]
			if r := l.rowOf(e); !IsUser(e.Owner) || r == nil || r.State == Revoked || time.Unix(e.NotAfter, 0).Before(since) {
				continue
			}
			sum := sha1.Sum(e.DER)
			if !yield(e.Serial, hex.EncodeToString(sum[:])) {
				return
			}
		}
	}
}
