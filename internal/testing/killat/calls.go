//go:build linux && (amd64 || arm64)

package killat

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

// argument says what the first argument that names a file is.
type argument int

const (
	nothing argument = iota
	path             // the first argument is a path
	atPath           // the second one is a path
	fd               // the first argument is a descriptor
	dataFD           // as fd; it counts only for a plain file that is not a standard stream
	openAt           // as atPath; it counts only with O_CREAT or O_TRUNC
	openAt2          // as openAt; the flags are behind a pointer
	openOld          // as path; the flags are the second argument
)

type kind struct {
	name string
	arg  argument
}

// kinds are the system calls that change files and exist on every architecture.
// oldKinds has those that only some have.
var kinds = map[uint64]kind{
	unix.SYS_OPENAT: {"openat", openAt}, unix.SYS_OPENAT2: {"openat2", openAt2},
	unix.SYS_WRITE: {"write", dataFD}, unix.SYS_WRITEV: {"writev", dataFD},
	unix.SYS_PWRITE64: {"pwrite64", dataFD}, unix.SYS_PWRITEV: {"pwritev", dataFD}, unix.SYS_PWRITEV2: {"pwritev2", dataFD},
	unix.SYS_SENDFILE: {"sendfile", dataFD}, unix.SYS_FALLOCATE: {"fallocate", dataFD}, unix.SYS_FTRUNCATE: {"ftruncate", dataFD},
	unix.SYS_TRUNCATE: {"truncate", path},
	unix.SYS_RENAMEAT: {"renameat", atPath}, unix.SYS_RENAMEAT2: {"renameat2", atPath},
	unix.SYS_UNLINKAT: {"unlinkat", atPath}, unix.SYS_MKDIRAT: {"mkdirat", atPath}, unix.SYS_MKNODAT: {"mknodat", atPath},
	unix.SYS_LINKAT: {"linkat", atPath}, unix.SYS_SYMLINKAT: {"symlinkat", path},
	unix.SYS_FCHMOD: {"fchmod", fd}, unix.SYS_FCHMODAT: {"fchmodat", atPath}, unix.SYS_FCHMODAT2: {"fchmodat2", atPath},
	unix.SYS_FCHOWN: {"fchown", fd}, unix.SYS_FCHOWNAT: {"fchownat", atPath}, unix.SYS_UTIMENSAT: {"utimensat", atPath},
	unix.SYS_FSYNC: {"fsync", fd}, unix.SYS_FDATASYNC: {"fdatasync", fd}, unix.SYS_SYNCFS: {"syncfs", fd}, unix.SYS_SYNC: {"sync", nothing},
	unix.SYS_MSYNC: {"msync", nothing}, unix.SYS_COPY_FILE_RANGE: {"copy_file_range", nothing},
	unix.SYS_FLOCK: {"flock", fd},
}

// locks are known by name but change no file.
const locks = "flock"

// describe looks at a call that is about to be made. ok is false for one that
// is none of kinds, or that changes nothing.
func describe(tid int, nr uint64, args [6]uint64) (c Call, ok bool) {
	k, known := kinds[nr]
	if !known {
		if k, known = oldKinds[nr]; !known {
			return c, false
		}
	}
	c.Name = k.name
	switch k.arg {
	case path:
		c.File = text(tid, args[0])
	case atPath:
		c.File = text(tid, args[1])
	case openOld:
		if !changes(args[1]) {
			return c, false
		}
		c.File = text(tid, args[0])
	case openAt, openAt2:
		flags := args[2]
		if k.arg == openAt2 {
			flags = word(tid, flags)
		}
		if !changes(flags) {
			return c, false
		}
		c.File = text(tid, args[1])
	case fd, dataFD:
		var plain bool
		c.File, plain = behind(tid, args[0])
		if k.arg == dataFD && (!plain || args[0] <= 2) {
			return c, false
		}
	}
	return c, true
}

// changes reports whether an open makes or empties a file.
func changes(flags uint64) bool { return flags&(unix.O_CREAT|unix.O_TRUNC) != 0 }

// behind returns the file behind a descriptor of a thread.
func behind(tid int, descriptor uint64) (name string, plain bool) {
	link := fmt.Sprintf("/proc/%d/fd/%d", tid, int32(descriptor))
	var buf [4096]byte
	n, err := unix.Readlink(link, buf[:])
	if err != nil {
		return "", false
	}
	var st unix.Stat_t
	plain = unix.Stat(link, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
	return string(buf[:n]), plain
}

// text reads a string of the program.
func text(tid int, addr uint64) string {
	var buf [4096]byte
	n, _ := readMemory(tid, addr, buf[:])
	s, _, _ := bytes.Cut(buf[:n], []byte{0})
	return string(s)
}

func word(tid int, addr uint64) uint64 {
	var buf [8]byte
	_, _ = readMemory(tid, addr, buf[:])
	var w uint64
	for i, b := range buf { // both architectures are little-endian
		w |= uint64(b) << (8 * i)
	}
	return w
}

// readMemory reads up to the end of a page: the next one may not be there.
func readMemory(tid int, addr uint64, buf []byte) (int, error) {
	n := 0
	for n < len(buf) {
		part := min(len(buf)-n, int(4096-(addr+uint64(n))%4096))
		local := []unix.Iovec{{Base: &buf[n]}}
		local[0].SetLen(part)
		got, err := unix.ProcessVMReadv(tid, local, []unix.RemoteIovec{{Base: uintptr(addr) + uintptr(n), Len: part}}, 0)
		if err != nil || got <= 0 {
			return n, err
		}
		if bytes.IndexByte(buf[n:n+got], 0) >= 0 {
			return n + got, nil
		}
		n += got
	}
	return n, nil
}
