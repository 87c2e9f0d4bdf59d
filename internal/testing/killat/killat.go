// Package killat runs a program and strikes it at one exact system call: it
// kills it before the call, or makes the call fail. Tests use it for what a
// trace inside the process cannot do: a death in which nothing deferred runs,
// and errors that come from the kernel's door, at every call that changes a
// file, whoever in the program makes it.
//
// One counter goes over all threads and children of the program. (strace counts
// each thread for itself, and Go changes threads.) Other threads may still be
// in the calls before the one at which the program dies, as in every death.
package killat

import "syscall"

// Strike says where a fault happens. Its zero value counts all file-changing
// calls and disturbs none.
type Strike struct {
	At      int               // the number of the call, from 1; 0 for none
	Errno   syscall.Errno     // with which the call fails; 0: SIGKILL before the call
	Onwards bool              // the later calls fail as well, as on a disk that stays full
	Match   func(c Call) bool // which calls count; nil: all that change files
}

// Call is one counted system call.
type Call struct {
	Name string // as in the manual: "renameat"
	File string // the first path or the file behind the first descriptor
}

// Result is how a program has ended.
type Result struct {
	Calls  []Call // in the order in which they were made
	Fired  bool   // the strike has happened
	Killed bool   // by a signal
	Code   int    // exit code, -1 when killed
}
