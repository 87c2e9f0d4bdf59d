// Package killat runs a program and strikes it at one exact system call: it kills
// the program before the call, or makes the call fail. A trace inside the process
// cannot do that: here no deferred function runs after a death, and errors come
// from the kernel, at every call that changes a file, in any part of the program.
//
// One counter covers all threads and children of the program. (strace counts each
// thread separately, and Go changes threads.) When the program dies, other threads
// may still be in earlier calls, as in every death.
package killat

import "syscall"

// Strike is a fault and its place. The zero value counts all file-changing calls and
// disturbs none.
type Strike struct {
	At      int               // the number of the call, from 1; 0 for none
	Errno   syscall.Errno     // the call fails with it; 0: SIGKILL before the call
	Onwards bool              // all later calls fail too, as on a disk that stays full
	Match   func(c Call) bool // selects the calls that count; nil: all that change files
}

// Call is one counted system call.
type Call struct {
	Name string // as in the manual: "renameat"
	File string // the first path or the file behind the first descriptor
}

// Result is the end of a program.
type Result struct {
	Calls  []Call // in the order in which they were made
	Fired  bool   // the strike has happened
	Killed bool   // by a signal
	Code   int    // exit code, -1 when killed
}
