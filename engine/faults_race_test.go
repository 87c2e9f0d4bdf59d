//go:build race

package engine

// thin is how many points there are to one that is tried: the race detector
// looks at the same code at each.
const thin = 12
