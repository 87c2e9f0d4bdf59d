package main

import (
	"syscall"
)

// harden makes the process safe to hold keys, before it has read any.
func harden() {
	// A core file would hold every key and passphrase of the run. Lowering the
	// limit is always allowed, so there is no error to look at.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	undumpable()
	// Modes are given with every file; the caller's umask must neither widen
	// nor narrow what is made on the way there.
	syscall.Umask(0o022)
}
