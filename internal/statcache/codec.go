package statcache

import (
	"encoding/binary"

	"mtlsplan/internal/outdir"
)

// Packer writes values one behind the other, and [Unpacker] reads them: numbers
// as varints, a text behind its length, a stat in statSize bytes.
type Packer []byte

// Number adds a number.
func (p *Packer) Number(n int64) { *p = binary.AppendVarint(*p, n) }

// Text adds a text.
func (p *Packer) Text(s string) { p.Number(int64(len(s))); *p = append(*p, s...) }

// Sum adds a SHA-256.
func (p *Packer) Sum(s Digest) { *p = append(*p, s[:]...) }

// Flag adds a truth value.
func (p *Packer) Flag(b bool) {
	if b {
		*p = append(*p, 1)
		return
	}
	*p = append(*p, 0)
}

const statSize = 4*8 + 4

// Stat adds a stat.
func (p *Packer) Stat(s outdir.Stat) {
	*p = binary.LittleEndian.AppendUint64(*p, s.Ino)
	*p = binary.LittleEndian.AppendUint64(*p, uint64(s.Size))
	*p = binary.LittleEndian.AppendUint64(*p, uint64(s.Mtime))
	*p = binary.LittleEndian.AppendUint64(*p, uint64(s.Ctime))
	*p = binary.LittleEndian.AppendUint32(*p, s.Mode)
}

// Unpacker reads what a [Packer] has written, in the same order. It never reads
// behind the end: a text that is cut short gives zeros, and Bad. The texts that
// it gives are parts of the one that it reads.
type Unpacker struct {
	Rest string
	Bad  bool
}

func (u *Unpacker) take(n int64) string {
	if n < 0 || n > int64(len(u.Rest)) {
		u.Rest, u.Bad = "", true
		return ""
	}
	s := u.Rest[:n]
	u.Rest = u.Rest[n:]
	return s
}

// Number reads a number.
func (u *Unpacker) Number() int64 {
	// binary.Varint reads bytes and not a string.
	var x uint64
	for i, shift := 0, uint(0); i < len(u.Rest) && i < binary.MaxVarintLen64; i, shift = i+1, shift+7 {
		b := u.Rest[i]
		x |= uint64(b&0x7f) << shift
		if b < 0x80 {
			u.Rest = u.Rest[i+1:]
			return int64(x>>1) ^ -int64(x&1)
		}
	}
	u.Rest, u.Bad = "", true
	return 0
}

// Text reads a text.
func (u *Unpacker) Text() string { return u.take(u.Number()) }

// Sum reads a SHA-256.
func (u *Unpacker) Sum() (s Digest) {
	copy(s[:], u.take(int64(len(s))))
	return s
}

// Flag reads a truth value.
func (u *Unpacker) Flag() bool { return u.take(1) == "\x01" }

// Stat reads a stat.
func (u *Unpacker) Stat() outdir.Stat { return Stats(u.take(statSize)).At(0) }

// Stats are stats of files, in an order that is up to their owner.
type Stats string

// StatsOf packs stats.
func StatsOf(list ...outdir.Stat) Stats {
	p := make(Packer, 0, len(list)*statSize)
	for _, s := range list {
		p.Stat(s)
	}
	return Stats(p)
}

// Len is how many there are.
func (s Stats) Len() int { return len(s) / statSize }

// At is the i-th, zero where there are fewer.
func (s Stats) At(i int) outdir.Stat {
	if i >= s.Len() {
		return outdir.Stat{}
	}
	s = s[i*statSize:]
	word := func(at int) (n uint64) {
		for i := 7; i >= 0; i-- {
			n = n<<8 | uint64(s[at+i])
		}
		return n
	}
	return outdir.Stat{Ino: word(0), Size: int64(word(8)), Mtime: int64(word(16)), Ctime: int64(word(24)), Mode: uint32(word(28) >> 32)}
}
