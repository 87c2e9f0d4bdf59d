package engine

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync"

	"mtlsplan/internal/config"
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

// digestsFrom is from how many users on the file is kept: opening fewer again
// takes no longer than a person waits without asking why. A variable for tests.
var digestsFrom = 1000

// digest is that of a user's files; zero is none.
type digest [sha256.Size]byte

type digests struct {
	dir  *outdir.Dir
	mu   sync.Mutex
	kept map[string]digest // those of the file by name, nil when nobody has asked yet
	news map[string]digest // those that only this run knows
}

// all are the digests of the file; the caller holds the lock.
func (d *digests) all() map[string]digest {
	if d.kept == nil {
		d.kept = parseDigests(d.dir.Text(digestsName))
	}
	return d.kept
}

// of gives the digest that is known for a user.
func (d *digests) of(name string) digest {
	d.mu.Lock()
	defer d.mu.Unlock()
	if sum, ok := d.news[name]; ok {
		return sum
	}
	return d.all()[name]
}

// learn takes over that the files with a digest fit together.
func (d *digests) learn(name string, sum digest) {
	if sum == (digest{}) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.news == nil {
		d.news = map[string]digest{}
	}
	d.news[name] = sum
}

// proven learns of a user whose files this run has made, all of them, and opened.
// If they come to lie on the disk as they were made, they need not be opened there.
// It reports whether there is anything to learn.
func (d *digests) proven(cfg *spec.Config, u *userFacts, puts []put) bool {
	made := make(map[string][]byte, len(puts))
	for _, p := range puts {
		made[p.name] = p.data
	}
	file := func(kind string) fileFacts {
		data, ok := made[userFile(cfg, u.spec.Name, kind)]
		return fileFacts{kind: kind, data: data, missing: !ok}
	}
	pass := file(kindPass)
	if pass.missing {
		pass = u.pass.file
	}
	files := []fileFacts{file(kindKey), file(kindCSR), file(kindCrt)}
	for i, profile := range u.spec.P12 {
		files = append(files, file(p12Kind(i, profile)))
	}
	sum := digestOf(u.spec.Passphrase, pass, files...)
	d.learn(u.spec.Name, sum)
	return sum != digest{}
}

func parseDigests(text string) map[string]digest {
	rest, ours := strings.CutPrefix(text, digestsFormat)
	m := make(map[string]digest, strings.Count(rest, "\n"))
	if !ours {
		return m
	}
	for line := range strings.Lines(rest) {
		name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if sum, err := hex.DecodeString(text); err == nil && len(sum) == len(digest{}) {
			m[strings.Clone(name)] = digest(sum)
		}
	}
	return m
}

// digestLineSize is that of a line beyond the name.
const digestLineSize = len(" ") + 2*sha256.Size + len("\n")

func digestLine(name string, sum digest) string {
	return name + " " + hex.EncodeToString(sum[:]) + "\n"
}

// digestOf is the digest of a user's files, none for one who shall have none.
func digestOf(ref config.Source, pass fileFacts, others ...fileFacts) digest {
	if ref.Kind != config.Generated || !secret.Line(pass.data).IsRandom() {
		return digest{}
	}
	h := sha256.New()
	for _, f := range append([]fileFacts{pass}, others...) {
		if f.missing {
			return digest{}
		}
		h.Write(binary.AppendUvarint([]byte(f.kind+"\n"), uint64(len(f.data))))
		h.Write(f.data)
	}
	return digest(h.Sum(nil))
}

// recognise gives the memo of a user by the digest of the files, without opening
// any; ok is false where they have to be.
func (o *observer) recognise(u *spec.User) (m userMemo, ok bool) {
	if u.CSR != "" || o.stats.Missing(userFile(o.cfg, u.Name, kindKey)) {
		return m, false // the digests are not even read for one who is new
	}
	want := o.digests.of(u.Name)
	if want == (digest{}) || o.hasStray(u, nil) {
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
	f.csr.csr = &csrContent{subject: cert.subject, sans: cert.sans, public: cert.public}
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

// keep writes behind the digests those that the run has learnt, or all of them
// anew where a quarter would be outdated. An error costs a later run some time,
// and this one nothing.
func (d *digests) keep(cfg *spec.Config, stats *outdir.Stats) {
	if len(d.news) == 0 || len(cfg.Users) < digestsFrom {
		return
	}
	lines := func(w io.Writer, of func(name string) digest) {
		for i := range cfg.Users {
			name := cfg.Users[i].Name
			if sum := of(name); sum != (digest{}) {
				_, _ = io.WriteString(w, digestLine(name, sum))
			}
		}
	}
	const few = 4096
	have, there := stats.Of(digestsName)
	live, size := int64(0), have.Size
	for i := range cfg.Users {
		u := &cfg.Users[i]
		line := int64(len(u.Name) + digestLineSize)
		if u.Passphrase.Kind == config.Generated && u.CSR == "" && u.Revoked == "" {
			live += line
		}
		if _, ok := d.news[u.Name]; ok {
			size += line
		}
	}
	if there && size <= live+live/4+few {
		var added strings.Builder
		lines(&added, func(name string) digest { return d.news[name] })
		if d.extend(have.Size, added.String()) == nil {
			return
		}
	}
	_ = d.dir.Replace(digestsName, func(w io.Writer) error {
		out := bufio.NewWriter(w)
		_, _ = out.WriteString(digestsFormat)
		lines(out, d.of)
		return out.Flush()
	})
}

// extend writes lines behind a text of the given size, if it is one of ours.
func (d *digests) extend(size int64, lines string) error {
	head, err := d.dir.Part(digestsName, 0, int64(len(digestsFormat)))
	if err != nil || string(head) != digestsFormat {
		return errors.Join(errors.New("it is another program's"), err)
	}
	last, err := d.dir.Part(digestsName, size-1, 1)
	if err != nil {
		return err
	}
	if last[0] != '\n' { // a line that was cut short ends before the next begins
		lines = "\n" + lines
	}
	return d.dir.Extend(digestsName, size, []byte(lines))
}
