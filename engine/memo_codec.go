package engine

import (
	"encoding/binary"
	"errors"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
)

// packer writes values one behind the other, and unpacker reads them: numbers as
// varints, a text behind its length, a stat in statSize bytes.
type packer []byte

const statSize = 4*8 + 4

func (p *packer) number(n int64) { *p = binary.AppendVarint(*p, n) }
func (p *packer) text(s string)  { p.number(int64(len(s))); *p = append(*p, s...) }
func (p *packer) sum(s [32]byte) { *p = append(*p, s[:]...) }
func (p *packer) flag(b bool)    { *p = append(*p, byte(boolInt(b))) }
func (p *packer) stat(s outdir.Stat) {
	*p = binary.LittleEndian.AppendUint64(*p, s.Ino)
	*p = binary.LittleEndian.AppendUint64(*p, uint64(s.Size))
	*p = binary.LittleEndian.AppendUint64(*p, uint64(s.Mtime))
	*p = binary.LittleEndian.AppendUint64(*p, uint64(s.Ctime))
	*p = binary.LittleEndian.AppendUint32(*p, s.Mode)
}

// unpacker never reads behind its end: what is cut short gives zeros, and bad.
type unpacker struct {
	rest string
	bad  bool
}

func (u *unpacker) take(n int64) string {
	if n < 0 || n > int64(len(u.rest)) {
		u.rest, u.bad = "", true
		return ""
	}
	s := u.rest[:n]
	u.rest = u.rest[n:]
	return s
}

func (u *unpacker) number() int64 {
	// binary.Varint reads bytes and not a string.
	var x uint64
	for i, shift := 0, uint(0); i < len(u.rest) && i < binary.MaxVarintLen64; i, shift = i+1, shift+7 {
		b := u.rest[i]
		x |= uint64(b&0x7f) << shift
		if b < 0x80 {
			u.rest = u.rest[i+1:]
			return int64(x>>1) ^ -int64(x&1)
		}
	}
	u.rest, u.bad = "", true
	return 0
}

func (u *unpacker) text() string { return u.take(u.number()) }

func (u *unpacker) sum() (s [32]byte) {
	copy(s[:], u.take(int64(len(s))))
	return s
}

func (u *unpacker) flag() bool { return u.take(1) == "\x01" }

func (u *unpacker) stat() outdir.Stat {
	s := u.take(statSize)
	if len(s) < statSize {
		return outdir.Stat{}
	}
	word := func(at int) (n uint64) {
		for i := 7; i >= 0; i-- {
			n = n<<8 | uint64(s[at+i])
		}
		return n
	}
	return outdir.Stat{Ino: word(0), Size: int64(word(8)), Mtime: int64(word(16)), Ctime: int64(word(24)),
		Mode: uint32(s[32]) | uint32(s[33])<<8 | uint32(s[34])<<16 | uint32(s[35])<<24}
}

func (p *keyMemo) pack(b *packer) {
	b.text(p.name)
	b.number(int64(p.kind))
	b.text(p.path)
	for _, s := range []outdir.Stat{p.source, p.pass, p.key} {
		b.stat(s)
	}
	b.number(int64(p.iterations))
	b.text(string(p.opened.typ))
	b.text(p.opened.public)
}

func (p *keyMemo) unpack(u *unpacker) {
	p.name, p.kind, p.path = u.text(), config.SourceKind(u.number()), u.text()
	p.source, p.pass, p.key = u.stat(), u.stat(), u.stat()
	p.iterations = int(u.number())
	p.opened = openedKey{pki.KeyType(u.text()), u.text()}
}

func (m *userMemo) pack() string {
	var b packer
	m.keyMemo.pack(&b)
	b.stat(m.csr)
	b.stat(m.crt)
	b.flag(m.challenged)
	b.number(int64(len(m.p12)))
	for _, p := range m.p12 {
		b.stat(p.stat)
		b.text(string(p.asked))
		b.text(string(p.profile))
		b.number(int64(p.iterations))
	}
	c, n := &m.cert, &m.cert.name
	b.sum(c.sum)
	for _, s := range []string{c.serial, c.issuer, c.authority, n.Country, n.Province, n.Locality, n.Organization, n.OrganizationalUnit, n.CommonName, n.Email} {
		b.text(s)
	}
	b.number(int64(len(c.sans)))
	for _, s := range c.sans { // all e-mail addresses: no other certificate has a memo
		b.text(s.Value)
	}
	b.number(c.notBefore.Unix())
	b.number(c.notAfter.Unix())
	return string(b)
}

var errMemo = errors.New("this is no memo of a user")

// maxListed bounds the lists in a memo.
const maxListed = 64

// unpackFiles reads of a memo what the files are known by, over the one before,
// whose lists it takes again, and returns the rest.
func (m *userMemo) unpackFiles(memo string) (rest unpacker, err error) {
	u := unpacker{rest: memo}
	sans, p12 := m.cert.sans[:0], m.p12[:0]
	*m = userMemo{}
	m.keyMemo.unpack(&u)
	m.csr, m.crt, m.challenged = u.stat(), u.stat(), u.flag()
	n := u.number()
	if n < 1 || n > maxListed {
		return u, errMemo
	}
	for range n {
		p12 = append(p12, p12Memo{u.stat(), pki.Profile(u.text()), pki.Profile(u.text()), int(u.number())})
	}
	m.p12, m.cert.sans = p12, sans
	if u.bad {
		return u, errMemo
	}
	return u, nil
}

// unpack reads all of a memo, over the one before.
func (m *userMemo) unpack(memo string) error {
	u, err := m.unpackFiles(memo)
	if err != nil {
		return err
	}
	c := &m.cert
	c.sum = u.sum()
	c.serial, c.issuer, c.authority = u.text(), u.text(), u.text()
	c.name = pki.Subject{Country: u.text(), Province: u.text(), Locality: u.text(), Organization: u.text(), OrganizationalUnit: u.text(), CommonName: u.text(), Email: u.text()}
	n := u.number()
	if n < 0 || n > maxListed {
		return errMemo
	}
	for range n {
		c.sans = append(c.sans, pki.SAN{Type: pki.SANEmail, Value: u.text()})
	}
	c.notBefore, c.notAfter = time.Unix(u.number(), 0).UTC(), time.Unix(u.number(), 0).UTC()
	c.public, c.version, c.usual, c.plain = m.opened.public, 3, true, true
	if u.bad || u.rest != "" || c.authority == "" {
		return errMemo
	}
	return nil
}
