package main

import "testing"

// The memory grows with the number of users, and never falls for one user more.
func TestGarbageHasNoCliff(t *testing.T) {
	last := 0
	for users := 1; users < 1_000_000; users += 1 + users/50 {
		room := users * (100 + garbagePercent(users))
		if room < last*99/100 {
			t.Errorf("%d users: %d after %d", users, room, last)
		}
		last = room
	}
	for users, want := range map[int]int{0: 150, 1: 150, 8_000: 150, 12_000: 100, 30_000: 40, 1_000_000: 40} {
		if have := garbagePercent(users); have != want {
			t.Errorf("%d users: %d %%, want %d", users, have, want)
		}
	}
}
