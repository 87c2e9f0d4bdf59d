package main

import "runtime/debug"

// manyUsers is the number of users from which on memory is what a run is short of.
const manyUsers = 50_000

// collectFor sets how much garbage may lie about, in percent of what is in use:
// issuing makes much of it, which costs a few percent of the time to collect. Who
// has set GOGC knows better.
func collectFor(users int, lookupEnv func(string) (string, bool)) {
	if _, said := lookupEnv("GOGC"); said {
		return
	}
	percent := 200
	if users >= manyUsers {
		percent = 60
	}
	debug.SetGCPercent(percent)
}
