package plan

import "testing"

func TestFits(t *testing.T) {
	for _, c := range []struct {
		pattern, owner Owner
		want           bool
	}{
		{"user.ada", "user.ada", true},
		{"user.ada", "user.ada2", false},
		{"user.*", "user.ada", true},
		{"user.*", "user.ada:laptop", true},
		{"user.*", "ca.acme", false},
		{"user.ada:*", "user.ada:laptop", true},
		{"user.ada:*", "user.ada", false},
		{"*", "ca.acme", true},
		{"*.acme", "crl.acme", true},
		{"user.a?a", "user.ada", true},
		{"user.[ab]*", "user.bob", true},
		{"user.[ab]*", "user.cid", false},
		{"user.*", "USER.ada", false},
		{"", "user.ada", false},
		{"user.[", "user.[", false}, // malformed
	} {
		if got := c.owner.Fits(c.pattern); got != c.want {
			t.Errorf("%q fits %q: %v", c.owner, c.pattern, got)
		}
	}
	for pattern, bad := range map[Owner]bool{"user.*": false, "user.ada": false, "user.[ab": true, "user.[": true, `user.\`: true} {
		if err := CheckPattern(pattern); (err != nil) != bad {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}
