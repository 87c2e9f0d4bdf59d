package ui

import (
	"io"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
)

// Diff is what turns old into text, as a unified diff that patch(1) reads.
func Diff(file string, old, text []byte) (string, error) {
	return difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: diffLines(old), FromFile: file,
		B: diffLines(text), ToFile: file,
		Context: 3,
	})
}

// WriteDiff writes a diff; on a terminal its lines are made harmless.
func WriteDiff(w io.Writer, diff string) error {
	if IsTerminal(w) {
		diff = clean(diff, "\n\t")
	}
	_, err := io.WriteString(w, diff)
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
