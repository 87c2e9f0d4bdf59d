//go:build linux

package killat

import "golang.org/x/sys/unix"

// oldKinds are the calls that newer architectures do without.
var oldKinds = map[uint64]kind{
	unix.SYS_CREAT: {"creat", path}, unix.SYS_OPEN: {"open", openOld},
	unix.SYS_RENAME: {"rename", path}, unix.SYS_UNLINK: {"unlink", path}, unix.SYS_RMDIR: {"rmdir", path},
	unix.SYS_MKDIR: {"mkdir", path}, unix.SYS_MKNOD: {"mknod", path},
	unix.SYS_LINK: {"link", path}, unix.SYS_SYMLINK: {"symlink", path},
	unix.SYS_CHMOD: {"chmod", path}, unix.SYS_CHOWN: {"chown", path}, unix.SYS_LCHOWN: {"lchown", path},
	unix.SYS_UTIME: {"utime", path}, unix.SYS_UTIMES: {"utimes", path}, unix.SYS_FUTIMESAT: {"futimesat", atPath},
}

type registers unix.PtraceRegsAmd64

func getRegs(tid int) (r registers, err error) {
	return r, unix.PtraceGetRegsAmd64(tid, (*unix.PtraceRegsAmd64)(&r))
}

func setRegs(tid int, r registers) error {
	return unix.PtraceSetRegsAmd64(tid, (*unix.PtraceRegsAmd64)(&r))
}

func (r registers) stack() uint64               { return r.Rsp }
func (r registers) result() int64               { return int64(r.Rax) }
func (r registers) returning(v int64) registers { r.Rax = uint64(v); return r }

func (r registers) with(args [5]uint64) registers {
	r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8 = args[0], args[1], args[2], args[3], args[4]
	return r
}

// before is the state in which the call nr has yet to be made.
func (r registers) before(nr uint64) registers {
	r.Rip -= 2 // the length of the instruction
	r.Rax = nr
	return r
}

// setNumber changes the call that a thread is about to make.
func setNumber(tid int, nr int64) error {
	r, err := getRegs(tid)
	if err != nil {
		return err
	}
	r.Orig_rax = uint64(nr)
	return setRegs(tid, r)
}
