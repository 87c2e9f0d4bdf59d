package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/plan"
)

// Memory is what a run leaves for later ones, in db/lock: when a run ended well, and
// what the last one had to say. It may be lost at any time; then everything is new.
//
// Its lines are "ended TIME", in RFC 3339, and "told DIGEST" for each note. Lines of
// any other form are passed over.
type Memory struct {
	EndedWell time.Time // of the last run that did everything, zero where that is not known

	told map[string]bool
}

// LastRun is the memory of an output directory, empty where there is none.
func LastRun(cfg *config.Config) Memory {
	dir, err := openDir(cfg)
	if err != nil {
		return Memory{} // the run itself says what is wrong
	}
	defer dir.Close()
	return parseMemory(dir.Remembered())
}

// Told reports whether the last run gave a note too, word for word.
func (m Memory) Told(n plan.Note) bool { return m.told[noteDigest(n)] }

func parseMemory(text []byte) Memory {
	m := Memory{told: map[string]bool{}}
	for line := range strings.Lines(string(text)) {
		switch word, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); word {
		case "ended":
			if t, err := time.Parse(time.RFC3339, value); err == nil {
				m.EndedWell = t
			}
		case "told":
			m.told[value] = true
		}
	}
	return m
}

// text is the memory after a run that gave these notes.
func (m Memory) text(notes []plan.Note) []byte {
	var b strings.Builder
	if !m.EndedWell.IsZero() {
		fmt.Fprintf(&b, "ended %s\n", m.EndedWell.UTC().Format(time.RFC3339))
	}
	for _, n := range notes {
		fmt.Fprintf(&b, "told %s\n", noteDigest(n))
	}
	return []byte(b.String())
}

// noteDigest tells notes apart. A collision hides one note of a quiet run.
func noteDigest(n plan.Note) string {
	sum := sha256.Sum256([]byte(string(n.Code) + "\x00" + string(n.Owner) + "\x00" + n.Message))
	return hex.EncodeToString(sum[:8])
}

// remember leaves the memory of this run. One that cannot be written makes the next
// run repeat itself, and changes nothing else.
func (r *run) remember(report *Report, err error) {
	m := parseMemory(r.dir.Remembered())
	if err == nil && !report.Plan.Refused() && len(report.Failures) == 0 {
		m.EndedWell = r.opt.Now
	}
	_ = r.dir.Remember(m.text(append(r.opt.Warnings[:len(r.opt.Warnings):len(r.opt.Warnings)], report.Plan.Notes...)))
}
