package config

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"mtlsplan/internal/plan"
)

// nameForm is what a user, a CA, a site or a roster may be called. No such name
// can form a path.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}$`)

// ValidName reports whether a user, a CA, a site or a roster may have the name.
func ValidName(name string) bool { return nameForm.MatchString(name) }

// deviceForm is what a device of a user may be called.
var deviceForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._@+-]{0,31}$`)

// ValidDevice reports whether a device of a user may have the name.
func ValidDevice(name string) bool { return deviceForm.MatchString(name) }

// ValidUser reports whether a name can be that of a [User]: NAME, or NAME:DEVICE.
func ValidUser(name string) bool {
	person, device, has := strings.Cut(name, plan.DeviceSign)
	return ValidName(person) && (!has || ValidDevice(device))
}

const day = 24 * time.Hour

// FormatDuration writes a duration as the spec has it where it can, in days or
// hours.
func FormatDuration(d time.Duration) string {
	switch {
	case d%time.Hour != 0:
		return d.String()
	case d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	}
	return fmt.Sprintf("%dh", d/time.Hour)
}
