package main

import (
	"math"
	"runtime/debug"
)

const (
	// manyUsers is the number of users from which on memory is what a run is short of.
	manyUsers = 50_000
	// bytesPerUser is what a run may hold of each of them before garbage is collected
	// harder: half as much again as it needs.
	bytesPerUser = 4200
)

// collectFor sets how much garbage may lie about, in percent of what is in use:
// issuing makes much of it, which costs a few percent of the time to collect. Who
// has set GOGC or GOMEMLIMIT knows better.
func collectFor(users int, lookupEnv func(string) (string, bool)) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, said := lookupEnv(name); said {
			return
		}
	}
	percent, limit := 300, int64(math.MaxInt64)
	if users >= manyUsers {
		percent, limit = 100, int64(users)*bytesPerUser
	}
	debug.SetGCPercent(percent)
	debug.SetMemoryLimit(limit)
}
