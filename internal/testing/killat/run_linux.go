package killat

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// launched names the program that a launcher becomes.
const launched = "KILLAT_LAUNCHES="

// Run starts a program that has not been started yet, strikes it, and waits until it
// and all its children have ended. It returns an error if the program could not be
// started or watched, whatever its end.
//
// The kernel asks here about each call in kinds (seccomp's user notification) and
// lets the thread wait for the answer. Such a filter also applies to the process
// that installs it. So the program is started through a launcher: this binary once
// more, which init turns into the program.
func Run(cmd *exec.Cmd, s Strike) (Result, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return Result{}, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	cmd.Env = append(cmd.Environ(), launched+cmd.Path)
	cmd.Path, cmd.ExtraFiles = "/proc/self/exe", []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return Result{}, err
	}
	w := watch{strike: s, group: cmd.Process.Pid}
	watched := w.receive(pair[0])
	if watched != nil {
		_ = unix.Kill(-w.group, unix.SIGKILL)
	}
	ended := cmd.Wait()
	if w.listener > 0 {
		unix.Close(w.listener)
	}
	if exit := (*exec.ExitError)(nil); errors.As(ended, &exit) {
		ended = nil
	}
	w.result.Code = cmd.ProcessState.ExitCode()
	w.result.Killed = w.result.Code < 0
	return w.result, errors.Join(watched, ended)
}

// init is the launcher. It is in the binary of every test that calls Run.
func init() {
	for _, v := range os.Environ() {
		if program, ok := strings.CutPrefix(v, launched); ok {
			fmt.Fprintln(os.Stderr, "killat:", launch(program))
			os.Exit(127)
		}
	}
}

// launch installs the filter on this thread, sends the descriptor of its
// questions, and becomes the program.
func launch(program string) error {
	const socket = 3
	runtime.LockOSThread()
	os.Unsetenv(strings.TrimSuffix(launched, "="))
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	code := filter()
	fprog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	// A thread that waits for an answer receives no signal but SIGKILL, so that the
	// kernel asks about each call once.
	listener, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return fmt.Errorf("seccomp (Linux 5.19 or newer): %w", errno)
	}
	if err := unix.Sendmsg(socket, []byte{0}, unix.UnixRights(int(listener)), nil, 0); err != nil {
		return err
	}
	unix.CloseOnExec(socket)
	return unix.Exec(program, os.Args, os.Environ())
}

// watch answers the kernel's questions about one program.
type watch struct {
	strike   Strike
	group    int // of processes
	listener int
	result   Result
}

// question is struct seccomp_notif of <linux/seccomp.h>.
type question struct {
	id    uint64
	tid   uint32
	_     uint32
	nr, _ uint32 // the other one is the architecture
	_     uint64 // instruction pointer
	args  [6]uint64
}

// answer is struct seccomp_notif_resp.
type answer struct {
	id    uint64
	_     int64
	errno int32 // negative
	flags uint32
}

func (w *watch) receive(socket int) error {
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 1), rights, 0)
	if err != nil || n == 0 {
		return errors.Join(errors.New("the launcher did not start the program"), err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil {
		return err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return err
	}
	w.listener = fds[0]
	unix.CloseOnExec(w.listener)
	for {
		poll := []unix.PollFd{{Fd: int32(w.listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if poll[0].Revents&unix.POLLIN != 0 {
			if done, err := w.one(); done || err != nil {
				return err
			}
		} else if poll[0].Revents != 0 { // no process is under the filter any more
			return nil
		}
	}
}

// one answers one question; done is true when the program has been killed.
func (w *watch) one() (done bool, err error) {
	var q question
	if gone, err := w.ioctl(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&q)); gone || err != nil {
		return false, err
	}
	a := answer{id: q.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	if call, ok := describe(q.tid, q.nr, q.args); ok && w.counts(call) {
		w.result.Calls = append(w.result.Calls, call)
		n := len(w.result.Calls)
		if at := w.strike.At; at > 0 && (n == at || w.strike.Onwards && n > at) {
			w.result.Fired = true
			if w.strike.Errno == 0 {
				return true, unix.Kill(-w.group, unix.SIGKILL)
			}
			a.errno, a.flags = -int32(w.strike.Errno), 0
		}
	}
	_, err = w.ioctl(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a))
	return false, err
}

func (w *watch) counts(c Call) bool {
	if w.strike.Match == nil {
		return c.Name != locks
	}
	return w.strike.Match(c)
}

// ioctl reports gone when nobody waits for the answer any more: the thread was killed, or
// a signal has taken its question back before it was read, and the call comes again.
func (w *watch) ioctl(request uintptr, arg unsafe.Pointer) (gone bool, err error) {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(w.listener), request, uintptr(arg))
	if errno != 0 && errno != unix.ENOENT {
		return false, fmt.Errorf("seccomp: %w", errno)
	}
	return errno == unix.ENOENT, nil
}
