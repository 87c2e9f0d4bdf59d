package spec

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// CheckReason refuses a name that is not a reason of RFC 5280, section 5.3.1, for
// which a user's certificate can be revoked for good.
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
