package main

import (
	"io"
	"os"
	"slices"
	"strings"

	"mtlsplan/internal/plan"
)

// checkEarlier refuses to replace a file that is there and is no earlier answer of the same
// kind: it may be a key, the spec, or a file of the CA database. what says which kind, and
// heads are how one begins. An empty file is nobody's.
func checkEarlier(file, what, remedy string, heads ...string) error {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return nil // there is none, or putWhole says what is wrong
	}
	longest := 0
	for _, h := range heads {
		longest = max(longest, len(h))
	}
	var head []byte
	f, err := os.Open(file)
	if err == nil {
		defer f.Close()
		head, err = io.ReadAll(io.LimitReader(f, int64(longest)))
	}
	if err != nil {
		return plan.Errorf(plan.FileError, "%s cannot be read, and may be no %s: %w: %s", file, what, cause(err), remedy)
	}
	if len(head) > 0 && !slices.ContainsFunc(heads, func(h string) bool { return strings.HasPrefix(string(head), h) }) {
		return plan.Errorf(plan.FileError, "%s is no %s and is left as it is: %s", file, what, remedy)
	}
	return nil
}
