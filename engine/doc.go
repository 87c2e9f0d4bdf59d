// Package engine is one run over one output directory, along one straight line:
//
//	lock        outdir        one writer; what an interrupted run had committed is finished
//	take stock  inventory     what lies there, as one value
//	judge       policy        inventory and spec to a plan, by pure functions
//	carry out   here          build in memory, check, commit in batches
//	check       here          read back what was written, and judge again: nothing may be left
//
// Start reading at [Apply] in run.go. carryout.go has the order of a run, make_*.go
// one file for each kind of owner, check.go what every file must stand before it is
// released.
package engine
