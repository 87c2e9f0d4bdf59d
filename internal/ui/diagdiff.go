package ui

import (
	"io"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
)

// Diff writes what turns old into text as a unified diff that patch(1) reads;
// on a terminal its lines are made harmless.
func Diff(w io.Writer, file string, old, text []byte) error {
	diff, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: diffLines(old), FromFile: file,
		B: diffLines(text), ToFile: file,
		Context: 3,
	})
	if err != nil {
		return err
	}
	if IsTerminal(w) {
		diff = clean(diff, "\n\t")
	}
	_, err = io.WriteString(w, diff)
	return err
}

func diffLines(text []byte) []string {
	lines := strings.SplitAfter(string(text), "\n")
	last := len(lines) - 1
	if lines[last] == "" {
		return lines[:last]
	}
	lines[last] += "\n\\ No newline at end of file\n"
	return lines
}
