package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"strings"
	"sync"

	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
	"mtlsplan/spec"
)

// The digests say of users that their files, these very bytes, were seen to fit
// together: the passphrase opens the key and the .p12, which hold that key and
// that certificate, and the request is signed with it. That cannot become
// untrue, wherever the files are copied to, and it is all that costs more to
// find out than to read: a directory that came back from a backup, or into a new
// container, is believed by its digests where the cache knows none of its files.
//
// It is a text: a line that names the format, then one with name and SHA-256 for
// each user, of which the last holds. A line that is damaged, or missing, costs
// time and changes no result. Only where mtlsplan itself has made the passphrase
// there is one: of what a person chose, a digest would be quick to guess with.

const (
	digestsName   = outdir.DB + "/digests"
	digestsFormat = "mtlsplan digests 1\n"
)

type digests struct {
	dir  *outdir.Dir
	once sync.Once
	m    map[string]string // hex by name
}

// of gives the digest that is known for a user, "" for none.
func (d *digests) of(name string) string {
	d.once.Do(func() { d.m = parseDigests(d.dir.Text(digestsName)) })
	return d.m[name]
}

func parseDigests(text string) map[string]string {
	rest, ours := strings.CutPrefix(text, digestsFormat)
	if !ours {
		return nil
	}
	m := make(map[string]string, strings.Count(rest, "\n"))
	for line := range strings.Lines(rest) {
		name, sum, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if ok && len(sum) == hex.EncodedLen(sha256.Size) {
			m[name] = sum
		}
	}
	return m
}

func digestLine(name, sum string) string { return name + " " + sum + "\n" }

// digestOf is the digest of a user's files, "" for one who shall have none.
func digestOf(ref secret.Ref, pass fileFacts, others ...fileFacts) string {
	if ref.Kind != secret.Generate || !secret.Line(pass.data).IsRandom() {
		return ""
	}
	h := sha256.New()
	for _, f := range append([]fileFacts{pass}, others...) {
		if f.missing {
			return ""
		}
		h.Write(binary.AppendUvarint([]byte(f.kind+"\n"), uint64(len(f.data))))
		h.Write(f.data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// recognise gives the memo of a user by the digest of the files, without opening
// any; ok is false where they have to be.
func (o *observer) recognise(u *spec.User) (m userMemo, ok bool) {
	want := o.digests.of(u.Name)
	if want == "" || u.CSR != "" || o.hasStray(u, nil) {
		return m, false
	}
	f := userFacts{spec: u, owner: userOwner(u.Name)}
	read := func(kind string) (file fileFacts) {
		if f.err == nil {
			file, f.err = o.file(kind, userFile(o.cfg, u.Name, kind))
		}
		return file
	}
	f.pass.file, f.key.fileFacts, f.csr.fileFacts, f.crt.fileFacts = read(kindPass), read(kindKey), read(kindCSR), read(kindCrt)
	files := []fileFacts{f.key.fileFacts, f.csr.fileFacts, f.crt.fileFacts}
	for i, profile := range u.P12 {
		p := p12Facts{fileFacts: read(p12Kind(i, profile)), profile: profile, opened: opensNow}
		files, f.p12 = append(files, p.fileFacts), append(f.p12, p)
	}
	if f.err != nil || digestOf(u.Passphrase, f.pass.file, files...) != want {
		return m, false
	}
	// The rest is what their own bytes say, and cheap to read.
	var err error
	f.crt.parse()
	if f.key.info, err = pki.InspectKey(f.key.data); err != nil || f.crt.cert == nil {
		return m, false
	}
	cert := f.crt.cert
	f.key.opened, f.key.typ, f.key.public = opensNow, pki.KeyTypeOf(cert.full.PublicKey), cert.public
	f.csr.csr = &csrContent{subject: cert.subject, emails: cert.emails, public: cert.public}
	for i := range f.p12 {
		p := &f.p12[i]
		if p.info, err = pki.InspectP12(p.data); err != nil {
			return m, false
		}
		p.cert, p.public = cert.sum, cert.public
	}
	if m, ok = memoOf(&f); !ok {
		return m, false
	}
	return m, m.suits(u)
}

// keep writes behind the digests those that a run has found. What is outdated
// stays as long as it is less than a quarter of what is not. An error costs a
// later run some time, and this one nothing.
func (d *digests) keep(cfg *spec.Config, stats *outdir.Stats, found map[string]string) {
	if len(found) == 0 {
		return
	}
	var out strings.Builder
	live := int64(len(digestsFormat))
	for i := range cfg.Users {
		name := cfg.Users[i].Name
		line := digestLine(name, strings.Repeat("0", hex.EncodedLen(sha256.Size)))
		live += int64(len(line))
		if sum := found[name]; sum != "" {
			out.WriteString(digestLine(name, sum))
		}
	}
	const few = 4096
	have, _ := stats.Of(digestsName)
	if have.Size+int64(out.Len()) <= live+live/4+few {
		head, err := d.dir.Part(digestsName, 0, int64(len(digestsFormat)))
		if err == nil && string(head) == digestsFormat {
			// A line that was cut short ends before the next begins.
			if last, err := d.dir.Part(digestsName, have.Size-1, 1); err == nil && d.dir.Extend(digestsName, have.Size, []byte(strings.Repeat("\n", boolInt(last[0] != '\n'))+out.String())) == nil {
				return
			}
		}
	}
	_ = d.dir.Replace(digestsName, func(w io.Writer) error {
		var all strings.Builder
		all.WriteString(digestsFormat)
		for i := range cfg.Users {
			name := cfg.Users[i].Name
			sum := found[name]
			if sum == "" {
				sum = d.of(name)
			}
			if sum != "" {
				all.WriteString(digestLine(name, sum))
			}
		}
		_, err := io.WriteString(w, all.String())
		return err
	})
}
