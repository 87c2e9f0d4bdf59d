// Package sample lets a run of the tests try a part of a long list, drawn anew each time, so
// that the runs together try all of it.
package sample

import (
	"math/rand/v2"
	"os"
)

// All asks for everything, which takes hours: MTLSPLAN_TESTS=all.
var All = os.Getenv("MTLSPLAN_TESTS") == "all"

// OneIn is every n-th of list, from one of the first n on, as the dice fall.
func OneIn[T any](n int, list []T) []T {
	if All || n < 2 {
		return list
	}
	var out []T
	for i := rand.IntN(n); i < len(list); i += n {
		out = append(out, list[i])
	}
	return out
}
