package main

import (
	"testing"
	"time"
)

func TestParseDate(t *testing.T) {
	now := time.Date(2026, 12, 1, 9, 30, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2027-01-31":                "2027-01-31T00:00:00Z",
		"2027-01-31T08:00:00Z":      "2027-01-31T08:00:00Z",
		"2027-01-31T08:00:00+01:00": "2027-01-31T07:00:00Z",
		"+30d":                      "2026-12-31T09:30:00Z",
		"+36h":                      "2026-12-02T21:30:00Z",
		"+0d":                       "2026-12-01T09:30:00Z",
		"+1y":                       "2027-12-01T09:30:00Z",
		"+30":                       "",
		"+30s":                      "",
		"+-3d":                      "",
		"+99999d":                   "",
		"+99999999999999999999d":    "",
		"30d":                       "",
		"-30d":                      "",
		"+":                         "",
		"2027-02-30":                "",
	} {
		got, err := parseDate(text, now)
		if want == "" {
			if err == nil {
				t.Errorf("%q: %s", text, got)
			}
			continue
		}
		if err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}

// A clock that has not been set must not pass for one that is set, nor the other way round.
func TestReleasedIsPast(t *testing.T) {
	if !released.After(scriptsReleased) || !released.Before(time.Now()) {
		t.Errorf("released on %s", released)
	}
}
