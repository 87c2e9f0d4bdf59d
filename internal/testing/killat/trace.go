//go:build linux && (amd64 || arm64)

package killat

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Run starts a program that has not been started yet, strikes it, and waits
// until it and all its children have ended. The error says that it could not be
// started or traced, not how it ended.
func Run(cmd *exec.Cmd, s Strike) (Result, error) {
	t := &tracer{strike: s, seen: map[int]bool{}, running: map[int]int{}}
	var err error
	onFreshThread(func() { err = t.run(cmd) })
	if cmd.Process != nil {
		_ = cmd.Wait() // the process is reaped already: this waits for its output
	}
	return t.result, err
}

// onFreshThread runs f on a thread of its own that has no children. The kernel
// knows a tracer by its thread, and wait4 gives it all children of that thread:
// one that has started another program before would take away its end.
func onFreshThread(f func()) {
	found := make(chan bool)
	go func() {
		runtime.LockOSThread()
		none := errors.Is(unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL|unix.WNOTHREAD, nil), unix.ECHILD)
		// The first thread inherits the children of others.
		if none && unix.Gettid() != unix.Getpid() {
			f()
			found <- true
			return // still locked: the thread ends here, and with it whatever it traces
		}
		onFreshThread(f) // this thread is taken meanwhile, so that it is another one
		runtime.UnlockOSThread()
		found <- true
	}()
	<-found
}

type tracer struct {
	strike  Strike
	leader  int
	seen    map[int]bool
	running map[int]int // threads in a call that is looked at, and its place in result.Calls
	parked  []stopped   // threads that wait until that call is over
	result  Result
}

type stopped struct {
	tid  int
	call Call
}

func (t *tracer) run(cmd *exec.Cmd) error {
	attr := syscall.SysProcAttr{}
	if cmd.SysProcAttr != nil {
		attr = *cmd.SysProcAttr
	}
	attr.Ptrace = true
	cmd.SysProcAttr = &attr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start under ptrace: %w", err)
	}
	t.leader = cmd.Process.Pid
	t.seen[t.leader] = true
	var status unix.WaitStatus
	if _, err := unix.Wait4(t.leader, &status, unix.WALL, nil); err != nil || !status.Stopped() {
		return fmt.Errorf("ptrace: the program did not stop at its start: %v", err)
	}
	const options = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESYSGOOD |
		unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC
	if err := unix.PtraceSetOptions(t.leader, options); err != nil {
		return fmt.Errorf("ptrace: %w", err)
	}
	if err := install(t.leader); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	t.resume(t.leader, 0)
	for {
		// Only what this thread traces: others may run programs at the same time.
		tid, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD):
			return nil
		case err != nil:
			return fmt.Errorf("wait4: %w", err)
		}
		if err := t.event(tid, status); err != nil {
			t.kill()
			return err
		}
	}
}

func (t *tracer) event(tid int, status unix.WaitStatus) error {
	if !status.Stopped() {
		delete(t.seen, tid)
		t.over(tid)
		if tid == t.leader {
			t.result.Code = status.ExitStatus() // -1 for a signal
			t.result.Killed = status.Signaled()
		}
		return nil
	}
	first := !t.seen[tid]
	t.seen[tid] = true
	switch signal := status.StopSignal(); {
	case signal == unix.SIGTRAP|0x80: // out of a counted call
		return t.leave(tid)
	case signal == unix.SIGTRAP && status.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
		return t.syscall(tid)
	case signal == unix.SIGTRAP: // a clone, a fork, an exec
		t.resume(tid, 0)
	case signal == unix.SIGSTOP && first: // how a new thread reports itself
		t.resume(tid, 0)
	default:
		t.resume(tid, int(signal))
	}
	return nil
}

// syscallInfo is struct ptrace_syscall_info of <linux/ptrace.h>.
type syscallInfo struct {
	op   uint8
	_    [3]byte
	arch uint32
	ip   uint64
	sp   uint64
	nr   uint64
	args [6]uint64
	_    uint64
}

// look returns the call that a thread is about to make. ESRCH: it was killed.
func look(tid int) (info syscallInfo, err error) {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid),
		unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		return info, fmt.Errorf("ptrace: system call information (Linux 5.3 or newer): %w", errno)
	}
	return info, nil
}

// syscall is the stop before a call of kinds.
func (t *tracer) syscall(tid int) error {
	info, err := look(tid)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	call, ok := describe(tid, info.nr, info.args)
	if ok && t.strike.Match == nil {
		ok = call.Name != locks
	} else if ok {
		ok = t.strike.Match(call)
	}
	switch {
	case !ok:
		t.resume(tid, 0)
	case len(t.running) > 0:
		t.parked = append(t.parked, stopped{tid, call})
	default:
		return t.enter(tid, call)
	}
	return nil
}

// enter counts a call and strikes before it.
func (t *tracer) enter(tid int, call Call) error {
	t.result.Calls = append(t.result.Calls, call)
	n := len(t.result.Calls)
	t.running[tid] = n - 1
	if t.hit(n) && (t.strike.Fault == KillBefore || t.strike.Fault == FailLost) {
		if err := setNumber(tid, -1); err != nil {
			return fmt.Errorf("ptrace: %w", err)
		}
		if t.strike.Fault == KillBefore {
			t.result.Fired = true
			t.kill()
			return nil
		}
	} else {
		t.result.Calls[n-1].Done = true
	}
	_ = unix.PtraceSyscall(tid, 0) // to its exit
	return nil
}

// leave strikes after a call.
func (t *tracer) leave(tid int) error {
	i, counted := t.running[tid]
	if counted && t.hit(i+1) {
		t.result.Fired = true
		switch t.strike.Fault {
		case KillAfter:
			t.kill()
			return nil
		case FailLost, FailDone:
			r, err := getRegs(tid)
			if err != nil {
				return fmt.Errorf("ptrace: %w", err)
			}
			if err := setRegs(tid, r.returning(-int64(t.strike.Errno))); err != nil {
				return fmt.Errorf("ptrace: %w", err)
			}
		}
	}
	t.resume(tid, 0)
	return t.over(tid)
}

// over lets the next thread make its call.
func (t *tracer) over(tid int) error {
	if _, counted := t.running[tid]; !counted {
		return nil
	}
	delete(t.running, tid)
	for len(t.parked) > 0 && len(t.running) == 0 {
		next := t.parked[0]
		t.parked = t.parked[1:]
		if !t.seen[next.tid] {
			continue
		}
		if err := t.enter(next.tid, next.call); err != nil {
			return err
		}
	}
	return nil
}

func (t *tracer) hit(n int) bool {
	return t.strike.Fault != None && (n == t.strike.At || t.strike.Onwards && n > t.strike.At)
}

// kill ends the program and its children at once. None of them comes back from
// the call in which it stands.
func (t *tracer) kill() {
	t.running, t.parked = map[int]int{}, nil
	for tid := range t.seen {
		_ = unix.Kill(tid, unix.SIGKILL)
	}
}

// resume goes on to the next call of kinds. A thread that was killed since is no error.
func (t *tracer) resume(tid, signal int) { _ = unix.PtraceCont(tid, signal) }
