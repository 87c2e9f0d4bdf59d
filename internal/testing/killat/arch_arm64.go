//go:build linux

package killat

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// oldKinds: arm64 has no call that a newer one replaces.
var oldKinds = map[uint64]kind{}

// Register sets, from <linux/elf.h>.
const (
	ntPRSTATUS      = 1
	ntARMSystemCall = 0x404
)

type registers unix.PtraceRegsArm64

func getRegs(tid int) (r registers, err error) {
	return r, unix.PtraceGetRegSetArm64(tid, ntPRSTATUS, (*unix.PtraceRegsArm64)(&r))
}

func setRegs(tid int, r registers) error {
	return unix.PtraceSetRegSetArm64(tid, ntPRSTATUS, (*unix.PtraceRegsArm64)(&r))
}

func (r registers) stack() uint64               { return r.Sp }
func (r registers) result() int64               { return int64(r.Regs[0]) }
func (r registers) returning(v int64) registers { r.Regs[0] = uint64(v); return r }

func (r registers) with(args [5]uint64) registers {
	copy(r.Regs[:], args[:])
	return r
}

// before is the state in which the call nr has yet to be made.
func (r registers) before(nr uint64) registers {
	r.Pc -= 4 // the length of the instruction
	r.Regs[8] = nr
	return r
}

// setNumber changes the call that a thread is about to make.
func setNumber(tid int, nr int64) error {
	number := int32(nr)
	iov := unix.Iovec{Base: (*byte)(unsafe.Pointer(&number))}
	iov.SetLen(int(unsafe.Sizeof(number)))
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SETREGSET, uintptr(tid), ntARMSystemCall, uintptr(unsafe.Pointer(&iov)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
