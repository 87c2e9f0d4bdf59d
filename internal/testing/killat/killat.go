// Package killat runs a program and strikes it at one exact system call: it
// kills it before or after the call, or makes the call fail. Tests use it to
// find out what a run leaves behind, wherever it is stopped.
//
// One counter goes over all threads and children of the program, and one
// counted call runs at a time, so that the k-th call is the k-th that the disk
// sees. (strace counts each thread for itself, and Go changes threads.)
package killat

import "syscall"

// Fault is what happens at a call.
type Fault int

const (
	None       Fault = iota // the calls are only counted
	KillBefore              // SIGKILL; the call is not made
	KillAfter               // SIGKILL; the call is made, and the program never learns of it
	FailLost                // the call is not made, and fails
	FailDone                // the call is made, and reported as failed
)

// Strike says where a fault happens. Its zero value counts all file-changing
// calls and disturbs none.
type Strike struct {
	At      int // the number of the call, from 1
	Fault   Fault
	Errno   syscall.Errno     // of FailLost and FailDone
	Onwards bool              // the later calls fail as well, as on a disk that stays full
	Match   func(c Call) bool // which calls count; nil: all that change files
}

// Call is one counted system call.
type Call struct {
	Name string // as in the manual: "renameat"
	File string // the first path or the file behind the first descriptor
	Done bool   // the kernel has carried it out, or tried to
}

// Result is how a program has ended.
type Result struct {
	Calls  []Call // in the order of the disk
	Fired  bool   // the strike has happened
	Killed bool   // by a signal
	Code   int    // exit code, -1 when killed
}
