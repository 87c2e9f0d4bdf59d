package spec

import (
	"fmt"
	"strconv"
	"time"
)

// ParseDuration reads a duration as a spec has it: one number and one unit, as in
// "30d", up to 100 years.
func ParseDuration(text string) (time.Duration, error) {
	m := durationForm.FindStringSubmatch(text)
	if m == nil || m[1] != "" {
		return 0, fmt.Errorf("%q is no duration: give one number and one unit, h, d, w or y, as in 30d", text)
	}
	if d, ok := lasting(m); ok {
		return d, nil
	}
	return 0, fmt.Errorf("%q is too long: the longest duration is 100 years (36500d)", text)
}

// lasting is what a match of durationForm comes to; ok is false beyond [maxDuration].
func lasting(m []string) (d time.Duration, ok bool) {
	n, err := strconv.ParseInt(m[2], 10, 64)
	unit := units[m[3]]
	if err != nil || n > int64(maxDuration/unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}
