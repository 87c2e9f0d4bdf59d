package spec

import "time"

// ValidName reports whether a name could stand in a spec: as a user's or as
// the label of a block. Such a name can never form a path.
func ValidName(name string) bool { return nameForm.MatchString(name) }

// FormatDuration writes a duration as the spec has it where it can, in days or
// hours.
func FormatDuration(d time.Duration) string {
	if d%time.Hour != 0 {
		return d.String()
	}
	return spell(d)
}
