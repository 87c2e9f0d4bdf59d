package engine

import (
	"fmt"
	"io/fs"
	"strings"
	"time"

	"mtlsplan/internal/cadb"
	"mtlsplan/internal/config"
)

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// day writes a date for people; the time of day matters only around the date itself.
func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// days writes a duration as the spec does.
func days(d time.Duration) string { return config.FormatDuration(d) }

// joined names owners, the first three of many.
func joined(owners []Owner) string {
	var out []string
	for _, o := range owners[:min(3, len(owners))] {
		out = append(out, string(o))
	}
	if n := len(owners) - len(out); n > 0 {
		return strings.Join(out, ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(out, ", ")
}

func is(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return plural(n, noun) + " are"
}

func coded(code Code, findings []finding) []finding {
	for i := range findings {
		findings[i].Code = code
	}
	return findings
}

func have(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " has been"
	}
	return plural(n, noun) + " have been"
}

func serials(rows []cadb.Row) []string {
	var out []string
	for _, r := range rows {
		out = append(out, r.Serial)
	}
	return out
}

func perm(m fs.FileMode) string { return fmt.Sprintf("%04o", m.Perm()) }
