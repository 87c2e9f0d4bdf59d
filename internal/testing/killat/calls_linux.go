package killat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// kind is a system call that changes files.
type kind struct {
	name string
	arg  argument
}

// argument says which argument names the file.
type argument int

const (
	nothing argument = iota
	path             // the first one is a path
	atPath           // the second one is a path
	fd               // the first one is a descriptor
	dataFD           // as fd; only plain files that are not standard streams count
)

// kinds are the calls that exist on every architecture, by number. An open counts
// only if it makes or empties a file.
var kinds = map[uint32]kind{
	unix.SYS_OPENAT: {"openat", atPath}, unix.SYS_OPENAT2: {"openat2", atPath},
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
	unix.SYS_FLOCK: {locks, fd},
}

// locks are known by name but change no file.
const locks = "flock"

// changing are the flags of an open that makes or empties a file.
const changing = unix.O_CREAT | unix.O_TRUNC

// openFlags is the argument that holds the flags of an open, by number.
var openFlags = map[uint32]int{unix.SYS_OPENAT: 2}

// filter makes the kernel ask only about the calls in kinds: an answer costs more
// than most calls, and a Go program makes thousands.
func filter() []unix.SockFilter {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		bits  = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		leave = unix.BPF_RET | unix.BPF_K

		number = 0 // offsets in struct seccomp_data, of two low halves
		args   = 16
	)
	ask := unix.SockFilter{Code: leave, K: unix.SECCOMP_RET_USER_NOTIF}
	pass := unix.SockFilter{Code: leave, K: unix.SECCOMP_RET_ALLOW}
	program := []unix.SockFilter{{Code: load, K: number}}
	for nr, arg := range openFlags {
		program = append(program, unix.SockFilter{Code: equal, K: nr, Jf: 4},
			unix.SockFilter{Code: load, K: uint32(args + 8*arg)}, unix.SockFilter{Code: bits, K: changing, Jf: 1}, ask, pass)
	}
	for nr := range kinds {
		program = append(program, unix.SockFilter{Code: equal, K: nr, Jf: 1}, ask)
	}
	return append(program, pass)
}

// describe examines a call that a thread is about to make. ok is false for a call
// that changes nothing.
func describe(tid, nr uint32, args [6]uint64) (c Call, ok bool) {
	k := kinds[nr]
	c.Name = k.name
	switch k.arg {
	case path:
		c.File = text(tid, args[0])
	case atPath:
		c.File = text(tid, args[1])
	case fd, dataFD:
		link := fmt.Sprintf("/proc/%d/fd/%d", tid, int32(args[0]))
		c.File, _ = os.Readlink(link)
		var st unix.Stat_t // not os.Stat, which takes an eventfd for a plain file
		plain := unix.Stat(link, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
		if k.arg == dataFD && (!plain || args[0] <= 2) {
			return c, false
		}
	}
	if nr == unix.SYS_OPENAT2 { // the filter cannot follow a pointer
		return c, binary.NativeEndian.Uint64(append(memory(tid, args[2], 8), make([]byte, 8)...))&changing != 0
	}
	return c, true
}

// text reads a string in the program's memory.
func text(tid uint32, addr uint64) string {
	s, _, _ := bytes.Cut(memory(tid, addr, unix.PathMax), []byte{0})
	return strings.ToValidUTF8(string(s), "?")
}

// memory reads at most n bytes of the program's memory.
func memory(tid uint32, addr uint64, n int) []byte {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return nil
	}
	defer f.Close()
	buf := make([]byte, n)
	n, _ = f.ReadAt(buf, int64(addr))
	return buf[:n]
}
