package doctor

import (
	"errors"
	"regexp"
	"strconv"
)

// Version is a version of NGINX, or all versions of a branch: 1.22. The zero Version is
// not known.
type Version struct{ first, last [3]int }

var versionText = regexp.MustCompile(`^(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?$`)

// ParseVersion reads two or three numbers, as in 1.22 or 1.26.3.
func ParseVersion(s string) (v Version, err error) {
	m := versionText.FindStringSubmatch(s)
	if m == nil {
		return v, errors.New("give two or three numbers, as in 1.22 or 1.26.3; nginx -v prints them")
	}
	for i := range v.first {
		v.first[i], _ = strconv.Atoi(m[i+1])
	}
	v.last = v.first
	if m[3] == "" {
		v.last[2] = 9999
	}
	return v, nil
}

// since and before report what is certain.
func (v Version) since(r [3]int) bool  { return v != Version{} && !less(v.first, r) }
func (v Version) before(r [3]int) bool { return v != Version{} && less(v.last, r) }

func less(a, b [3]int) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}
