package main

import "runtime/debug"

// collectFor sets how much garbage may wait for collection, unless GOGC says so.
func collectFor(users int, lookupEnv func(string) (string, bool)) {
	if _, said := lookupEnv("GOGC"); !said {
		debug.SetGCPercent(garbagePercent(users))
	}
}

// garbagePercent is how much garbage may wait for collection, in percent of the
// memory in use. Issuing makes much of it, and collecting it costs a few percent
// of the time. It may take as much room as the facts of 12,000 users, so that
// memory grows evenly with the number of users; few users get less, and very many
// get more.
func garbagePercent(users int) int {
	const most, least, plenty = 150, 40, 12_000
	return min(most, max(least, 100*plenty/max(1, users)))
}
