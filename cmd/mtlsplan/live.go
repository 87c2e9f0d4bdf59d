package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"mtlsplan/internal/input"
)

// Exit codes are part of the contract; docs/reference.md lists them.
const (
	exitDone       = 0
	exitFailure    = 1
	exitPending    = 2
	exitIncomplete = 3
	exitRefused    = 4
	exitInvalid    = 10
	exitLocked     = 11
	exitInterrupt  = 130
)

// process is what a run may use of the world. Tests give it their own.
type process struct {
	stdin     io.Reader
	stdout    io.Writer
	stderr    io.Writer
	lookupEnv func(string) (string, bool)
	now       func() time.Time // called once a run, by try once a visit, and by apply after a question
	released  time.Time        // no true clock is before this
}

// released is when this version was released. A computer whose clock says less has
// not heard of the time yet.
var released = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// live is the program in its process, but for where its answers go and when it was
// released.
func live(stdout io.Writer, released time.Time) int {
	harden()
	// Caught, so that a reader that goes away (plan | head) is a write error and
	// does not kill an apply half way; not ignored, since programs that are
	// started would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup asks
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	// A second signal is meant: it ends the process with the programs that it waits for, and
	// the next run copes with that. timeout(1) sends its one to the program and then to the
	// whole group.
	urgent, hurry := context.WithCancel(context.Background())
	context.AfterFunc(ctx, func() {
		time.Sleep(time.Second)
		again := make(chan os.Signal, 1)
		signal.Notify(again, ends...)
		stop()
		second := <-again
		hurry()
		time.Sleep(500 * time.Millisecond) // the run ends by itself where it waited for a program only
		signal.Reset(ends...)
		if self, err := os.FindProcess(os.Getpid()); err != nil || self.Signal(second) != nil {
			os.Exit(exitInterrupt) // where a process cannot send itself a signal
		}
	})
	return run(input.WithUrgency(ctx, urgent), os.Args[1:], process{os.Stdin, stdout, os.Stderr, os.LookupEnv, time.Now, released})
}
