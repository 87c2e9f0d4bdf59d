//go:build linux && (amd64 || arm64)

package killat

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// filter makes the kernel stop the program at the calls of kinds only: a stop
// costs more than most calls, and a Go program makes thousands.
func filter() []unix.SockFilter {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		bits  = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		leave = unix.BPF_RET | unix.BPF_K

		// Offsets in struct seccomp_data.
		number = 0
		third  = 32 // low half of the third argument
	)
	stop := unix.SockFilter{Code: leave, K: unix.SECCOMP_RET_TRACE}
	program := []unix.SockFilter{
		{Code: load, K: number},
		// Most opens only read.
		{Code: equal, K: unix.SYS_OPENAT, Jf: 4},
		{Code: load, K: third},
		{Code: bits, K: unix.O_CREAT | unix.O_TRUNC, Jf: 1},
		stop,
		{Code: leave, K: unix.SECCOMP_RET_ALLOW},
	}
	for _, calls := range []map[uint64]kind{kinds, oldKinds} {
		for nr := range calls {
			program = append(program, unix.SockFilter{Code: equal, K: uint32(nr), Jf: 1}, stop)
		}
	}
	return append(program, unix.SockFilter{Code: leave, K: unix.SECCOMP_RET_ALLOW})
}

// install puts the filter into a program that stands behind its exec, by calls
// that it makes in place of its own first one.
func install(pid int) error {
	if err := next(pid); err != nil {
		return err
	}
	own, err := getRegs(pid)
	if err != nil {
		return err
	}
	info, err := look(pid)
	if err != nil {
		return err
	}
	program := filter()
	at := (own.stack() - 8192) &^ 15
	if err := poke(pid, at, program); err != nil {
		return err
	}
	for _, call := range []struct {
		nr   int64
		args [5]uint64
	}{
		{unix.SYS_PRCTL, [5]uint64{unix.PR_SET_NO_NEW_PRIVS, 1}},
		{unix.SYS_SECCOMP, [5]uint64{unix.SECCOMP_SET_MODE_FILTER, 0, at}},
	} {
		if err := errors.Join(setRegs(pid, own.with(call.args)), setNumber(pid, call.nr)); err != nil {
			return err
		}
		if err := next(pid); err != nil { // out of the call
			return err
		}
		done, err := getRegs(pid)
		if err != nil {
			return err
		}
		if done.result() != 0 {
			return fmt.Errorf("system call %d: %w", call.nr, unix.Errno(-done.result()))
		}
		if err := setRegs(pid, own.before(info.nr)); err != nil {
			return err
		}
		if call.nr == unix.SYS_PRCTL {
			if err := next(pid); err != nil { // into its own first call again
				return err
			}
		}
	}
	return nil
}

// next goes on to the next entry or exit of a call.
func next(pid int) error {
	for {
		if err := unix.PtraceSyscall(pid, 0); err != nil {
			return err
		}
		var status unix.WaitStatus
		if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != nil {
			return err
		}
		switch {
		case !status.Stopped():
			return errors.New("the program ended at its start")
		case status.StopSignal() == unix.SIGTRAP|0x80:
			return nil
		}
	}
}

// poke writes the program, and struct sock_fprog before it, into the unused
// part of a stack.
func poke(pid int, at uint64, program []unix.SockFilter) error {
	data := binary.LittleEndian.AppendUint64(nil, uint64(len(program)))
	data = binary.LittleEndian.AppendUint64(data, at+16)
	for _, f := range program {
		data = binary.LittleEndian.AppendUint16(data, f.Code)
		data = append(data, f.Jt, f.Jf)
		data = binary.LittleEndian.AppendUint32(data, f.K)
	}
	_, err := unix.PtracePokeData(pid, uintptr(at), data)
	return err
}
