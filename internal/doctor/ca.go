package doctor

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"mtlsplan/internal/nginxconf"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

func (w *ward) ca() {
	for _, s := range w.servers {
		if !s.tls {
			continue
		}
		d := s.nearest("ssl_client_certificate")
		if d == nil || d.Arg(0) == "" {
			if s.asks() && s.mode != "optional_no_ca" && (s.nearest("ssl_trusted_certificate") == nil || !w.Version.since(caOptional)) {
				w.report(s.verify.Place, plan.CAUnset, "No ssl_client_certificate says which CA certifies the clients. Without it NGINX refuses to start, and browsers do not know which certificate to offer.",
					"ssl_client_certificate /etc/nginx/client-ca.crt;")
			}
			continue
		}
		if w.names(d) {
			w.caFile(s, d)
		}
	}
}

// publicBundles end the paths of files that hold the CAs of the whole web, or a server's
// own chain.
var publicBundles = []string{"/ca-certificates.crt", "/ca-bundle.crt", "/tls-ca-bundle.pem", "/cert.pem", "/fullchain.pem", "/chain.pem"}

func (w *ward) caFile(s *server, d *nginxconf.Directive) {
	path := w.path(d)
	for _, end := range publicBundles {
		if strings.HasSuffix(path, end) && (strings.HasPrefix(path, "/etc/ssl/") || strings.HasPrefix(path, "/etc/pki/") || strings.HasPrefix(path, "/etc/letsencrypt/")) {
			w.report(d.Place, plan.CAPublic, path+" holds public CAs: whoever has a certificate from one of them comes in. Name the CA that you have made for your users, and no other.",
				"ssl_client_certificate /etc/nginx/client-ca.crt;")
			return
		}
	}
	f, ok := w.Files[path]
	if !ok {
		return
	}
	if f.Err != nil {
		w.report(d.Place, plan.CAUnreadable, "The CA certificate "+path+" cannot be read: "+f.Err.Error()+". Put it there, or name the file in which it is.")
		return
	}
	if f.Mode&0o022 != 0 {
		w.report(d.Place, plan.CAWritable, fmt.Sprintf("Others than its owner can write %s (mode %04o): they can let anybody in. Type: chmod go-w %s", path, f.Mode.Perm(), path))
	}
	certs := w.certificates(d, path, f.Text)
	for _, c := range certs {
		w.caCertificate(d, path, c, certs)
	}
	w.chain(s, d, path, certs)
}

// certificates are those in the file of a CA.
func (w *ward) certificates(d *nginxconf.Directive, path string, text []byte) (certs []*x509.Certificate) {
	found := false
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			w.report(d.Place, plan.CAPrivateKey, path+" holds a private key. NGINX does not need it, and whoever reads it can make certificates that come in. Move it away from the server, and consider it known to others.")
		case strings.HasSuffix(block.Type, "CERTIFICATE"):
			found = true
			if c, err := x509.ParseCertificate(block.Bytes); err == nil {
				certs = append(certs, c)
			}
		}
	}
	if !found {
		w.report(d.Place, plan.CAUnreadable, path+" holds no PEM certificate, and NGINX refuses to start.")
	}
	return certs
}

func (w *ward) caCertificate(d *nginxconf.Directive, path string, c *x509.Certificate, all []*x509.Certificate) {
	name := pki.NameString(c.RawSubject)
	renewed := slices.ContainsFunc(all, func(o *x509.Certificate) bool {
		return bytes.Equal(o.RawSubject, c.RawSubject) && bytes.Equal(o.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo) && !w.Now.Before(o.NotBefore) && !w.Now.After(o.NotAfter)
	})
	switch {
	case renewed: // NGINX takes the one that is valid
	case w.Now.After(c.NotAfter):
		w.report(d.Place, plan.CAExpired, fmt.Sprintf("The CA certificate %s in %s expired on %s, and NGINX refuses everybody whom it has certified. Make a new certificate for the same key and name.", name, path, day(c.NotAfter)))
	case w.Now.Before(c.NotBefore):
		w.report(d.Place, plan.CAExpired, fmt.Sprintf("The CA certificate %s in %s is not valid before %s, and NGINX refuses everybody whom it has certified. Is the clock of this computer right?", name, path, day(c.NotBefore)))
	}
	switch {
	case c.Version < 3 && selfIssued(c):
		w.report(d.Place, plan.CAVersion1, fmt.Sprintf("The certificate %s in %s is of X.509 version 1, so nothing in it says that it is a CA's, and strict programs refuse it. Make one with openssl req -x509.", name, path))
	case c.Version < 3 || !c.IsCA:
		w.report(d.Place, plan.CANotCA, fmt.Sprintf("The certificate %s in %s is not of a CA, so nobody whom its key has certified comes in. Name the certificate of the CA that has signed it.", name, path))
	}
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// chain judges whether the CAs in the file lead to a root, and whether the depth does.
// $ssl_verify_depth counts the CAs between a client's certificate and the root.
func (w *ward) chain(s *server, d *nginxconf.Directive, path string, certs []*x509.Certificate) {
	needed := 0
	for _, c := range certs {
		between := 0
		for c != nil && !selfIssued(c) && between <= len(certs) {
			between++
			next := issuerOf(c, certs)
			if next == nil && c.IsCA {
				w.report(d.Place, plan.CAIncomplete, fmt.Sprintf("%s lacks the issuer of %s, the CA %s, and NGINX refuses everybody. Add its certificate to the file.", path, pki.NameString(c.RawSubject), pki.NameString(c.RawIssuer)))
			}
			c = next
		}
		if c != nil {
			needed = max(needed, between)
		}
	}
	depth, at := 1, d.Place
	if set := s.nearest("ssl_verify_depth"); set != nil {
		depth, _ = strconv.Atoi(set.Arg(0))
		at = set.Place
	}
	if s.asks() && depth < needed {
		w.report(at, plan.VerifyDepth, fmt.Sprintf("Between a user's certificate and the root there are %d CAs in %s, and ssl_verify_depth allows %d: NGINX refuses these users.", needed, path, depth),
			fmt.Sprintf("ssl_verify_depth %d;", needed))
	}
}

func issuerOf(c *x509.Certificate, among []*x509.Certificate) *x509.Certificate {
	for _, i := range among {
		if bytes.Equal(i.RawSubject, c.RawIssuer) {
			return i
		}
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// identity reports whether a variable is one by which a certificate can be told from another.
func identity(name string) bool {
	switch name {
	case "ssl_client_serial", "ssl_client_fingerprint", "ssl_client_s_dn", "ssl_client_s_dn_legacy", "ssl_client_escaped_cert", "ssl_client_cert", "ssl_client_raw_cert":
		return true
	}
	return false
}

// listed reports whether a server looks up each certificate in a list of its own: a map
// by serial, say, and an if that refuses by it.
func (w *ward) listed(s *server) bool {
	var visit func([]*nginxconf.Directive) bool
	visit = func(list []*nginxconf.Directive) bool {
		for _, d := range list {
			if d.Name == "if" && ends(d.Block) && w.onIdentity(strings.Join(d.Args, " ")) || identifying(d) || visit(d.Block) {
				return true
			}
		}
		return false
	}
	return visit(s.list)
}

// identifying reports whether a program looks up one of the variables of [identity].
func identifying(d *nginxconf.Directive) bool {
	return program(d, "ssl_client_serial") || program(d, "ssl_client_fingerprint") || program(d, "ssl_client_s_dn")
}

func (w *ward) revocation() {
	for _, s := range w.asking() {
		d := s.nearest("ssl_crl")
		if d != nil && w.names(d) {
			w.crl(s, d)
			continue
		}
		if o := s.nearest("ssl_ocsp"); o != nil && !o.Is("off") {
			continue
		}
		if d != nil && d.Arg(0) != "" || w.listed(s) {
			continue
		}
		w.report(s.verify.Place, plan.NoRevocation, "A revoked certificate still gets in: there is neither ssl_crl nor a map by $ssl_client_serial. Let the CA sign a CRL, even if it lists nobody yet, name it, and reload NGINX whenever it changes.",
			"ssl_crl "+besideCA(s)+";")
	}
}

// besideCA is where the CRL is likely to be.
func besideCA(s *server) string {
	if d := s.nearest("ssl_client_certificate"); d != nil && d.Arg(0) != "" {
		return strings.TrimSuffix(d.Arg(0), filepath.Ext(d.Arg(0))) + ".crl"
	}
	return "/etc/nginx/client-ca.crl"
}

func (w *ward) crl(s *server, d *nginxconf.Directive) {
	path := w.path(d)
	f, ok := w.Files[path]
	if !ok {
		return
	}
	if f.Err != nil {
		w.report(d.Place, plan.CRLUnreadable, "The CRL "+path+" cannot be read: "+f.Err.Error()+". Put it there, or name the file in which it is.")
		return
	}
	newest := map[string]*x509.RevocationList{}
	for rest := f.Text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if l, err := x509.ParseRevocationList(block.Bytes); err == nil && block.Type == "X509 CRL" {
			if before := newest[string(l.RawIssuer)]; before == nil || l.NextUpdate.After(before.NextUpdate) {
				newest[string(l.RawIssuer)] = l
			}
		}
	}
	if len(newest) == 0 {
		w.report(d.Place, plan.CRLUnreadable, path+" holds no PEM CRL. NGINX refuses to start, or refuses everybody.")
		return
	}
	cas := w.trusted(s)
	for _, c := range cas {
		name := pki.NameString(c.RawSubject)
		l := newest[string(c.RawSubject)]
		switch {
		case l == nil:
			w.report(d.Place, plan.CRLMissing, fmt.Sprintf("%s has no CRL of the CA %s, and NGINX refuses everybody whom it has certified. Add it, even if it lists nobody.", path, name))
		case !l.NextUpdate.IsZero() && w.Now.After(l.NextUpdate):
			w.report(d.Place, plan.CRLEnded, fmt.Sprintf("The CRL of %s in %s ended on %s, and NGINX refuses everybody. Sign a new one, and reload.", name, path, day(l.NextUpdate)))
		case w.Now.Before(l.ThisUpdate):
			w.report(d.Place, plan.CRLEnded, fmt.Sprintf("The CRL of %s in %s begins only on %s, and NGINX refuses everybody. Is the clock of this computer right?", name, path, day(l.ThisUpdate)))
		}
	}
	if len(cas) > 0 {
		return
	}
	for issuer, l := range newest { // the CA could not be read
		if !l.NextUpdate.IsZero() && w.Now.After(l.NextUpdate) {
			w.report(d.Place, plan.CRLEnded, fmt.Sprintf("The CRL of %s in %s ended on %s, and NGINX refuses everybody. Sign a new one, and reload.", pki.NameString([]byte(issuer)), path, day(l.NextUpdate)))
		}
	}
}

// trusted are the CA certificates in the file of a server's CA.
func (w *ward) trusted(s *server) (certs []*x509.Certificate) {
	d := s.nearest("ssl_client_certificate")
	if d == nil {
		return nil
	}
	for rest := w.Files[w.path(d)].Text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return certs
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && (c.IsCA || c.Version < 3) {
			certs = append(certs, c)
		}
	}
}
