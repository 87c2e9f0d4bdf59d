package spec

import (
	"errors"
	"fmt"
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
