//go:build race

package engine

// thin is the number of points for each one that is tried: the race detector sees the same
// code at each.
const thin = 12
