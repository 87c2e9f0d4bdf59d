package main

import "runtime/debug"

// collectFor sets how much garbage may lie about. Who has set GOGC knows better.
func collectFor(users int, lookupEnv func(string) (string, bool)) {
	if _, said := lookupEnv("GOGC"); !said {
		debug.SetGCPercent(garbagePercent(users))
	}
}

// garbagePercent is how much garbage may lie about, in percent of what is in use.
// Issuing makes much of it, which costs a few percent of the time to collect. It
// may take as much room as the facts of 50,000 users, so that memory grows evenly
// with the number of users; a few users need not have all of that, and very many
// may have more.
func garbagePercent(users int) int {
	const most, least, plenty = 300, 40, 50_000
	return min(most, max(least, 100*plenty/max(1, users)))
}
