package spec

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

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

// CheckReason refuses what is no reason of RFC 5280, section 5.3.1, for which
// a user's certificate can be revoked for good.
func CheckReason(name string) error {
	if slices.Contains(userReasons, name) {
		return nil
	}
	if why, ok := otherReasons[name]; ok {
		return errors.New(why + " Use " + orList(userReasons) + ".")
	}
	return fmt.Errorf("there is no such reason in RFC 5280: use %s", orList(userReasons))
}

// ReadCSR reads a request that a user has made, 64 KiB of it at the most.
func ReadCSR(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the request cannot be read: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("the request cannot be read: %w", err)
	}
	return data, nil
}
