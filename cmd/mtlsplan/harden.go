//go:build !windows

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
	// Modes are given with every file, whatever the umask is, and programs that are
	// started inherit the caller's. But one that takes rights from the owner would
	// lock this process out of what it has just made.
	syscall.Umask(syscall.Umask(0o077) & 0o077)
}
