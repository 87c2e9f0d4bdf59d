package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// SealedName is the file that remembers to whom passphrases are sealed, which the sealed
// files themselves do not show; relative to the output directory.
const SealedName = "db/sealed.json"

// Sealed is what that file says, by the path of a sealed passphrase. A run of many users
// writes it once a batch, so what was written is kept: a file costs its formatting once.
type Sealed struct {
	files map[string]SealedFile

	places map[string]int    // of recipients, in the file
	table  []string          // recipients by their places
	uses   []int             // files that name each
	lines  map[string]string // of the files
	order  []string          // their names, sorted
	late   []string          // those that order lacks
}

// SealedFile is one sealed passphrase.
type SealedFile struct {
	Sum        Sum      // of the file: of another one nothing is known
	Recipients []string // in the order of the spec that it was sealed by
}

// sealedVersion is the version of the file's format.
const sealedVersion = 1

// sealedFile is the file. Recipients stand in it once, and files name them by their place,
// because most files have the same ones.
type sealedFile struct {
	FormatVersion int                    `json:"format_version"`
	Recipients    []string               `json:"recipients"`
	Files         map[string]sealedEntry `json:"files"`
}

type sealedEntry struct {
	SHA256     string `json:"sha256"` // in lower-case hex
	Recipients []int  `json:"recipients"`
}

// ParseSealed reads the file. What cannot be read is not known, and what is not known is
// sealed anew as soon as somebody can.
func ParseSealed(data []byte) *Sealed {
	s := &Sealed{files: map[string]SealedFile{}}
	var f sealedFile
	if json.Unmarshal(data, &f) != nil || f.FormatVersion != sealedVersion {
		return s
	}
	lists := map[string][]string{} // shared by the files that have the same
	for name, e := range f.Files {
		sum, err := hex.DecodeString(e.SHA256)
		if err != nil || len(sum) != sha256.Size || slices.ContainsFunc(e.Recipients, func(i int) bool { return i < 0 || i >= len(f.Recipients) }) {
			continue
		}
		key := fmt.Sprint(e.Recipients)
		list, known := lists[key]
		if !known {
			for _, i := range e.Recipients {
				list = append(list, f.Recipients[i])
			}
			lists[key] = list
		}
		s.files[name] = SealedFile{Sum(sum), list}
	}
	return s
}

// Clone is a copy.
func (s *Sealed) Clone() *Sealed { return &Sealed{files: maps.Clone(s.files)} }

// Len is how many files are known.
func (s *Sealed) Len() int { return len(s.files) }

// Of is what is known of a file.
func (s *Sealed) Of(name string) (f SealedFile, known bool) {
	f, known = s.files[name]
	return f, known
}

// Put records a file.
func (s *Sealed) Put(name string, f SealedFile) {
	s.Drop(name)
	s.files[name] = f
	if s.lines != nil {
		s.write(name)
		s.late = append(s.late, name)
	}
}

// Drop forgets a file, and reports whether it was known.
func (s *Sealed) Drop(name string) bool {
	f, known := s.files[name]
	if !known {
		return false
	}
	delete(s.files, name)
	if s.lines == nil {
		return true
	}
	delete(s.lines, name)
	for _, r := range f.Recipients {
		if s.uses[s.places[r]]--; s.uses[s.places[r]] == 0 {
			s.lines = nil // nobody is named who can open nothing: all of it is written anew
			break
		}
	}
	return true
}

// write makes the line of a file.
func (s *Sealed) write(name string) {
	f := s.files[name]
	e := sealedEntry{SHA256: hex.EncodeToString(f.Sum[:]), Recipients: []int{}}
	for _, r := range f.Recipients {
		i, placed := s.places[r]
		if !placed {
			i = len(s.table)
			s.places[r], s.table, s.uses = i, append(s.table, r), append(s.uses, 0)
		}
		s.uses[i]++
		e.Recipients = append(e.Recipients, i)
	}
	s.lines[name] = "    " + jsonText(name) + ": " + jsonText(e)
}

func jsonText(v any) string {
	text, _ := json.Marshal(v) // of values that always can be written
	return string(text)
}

// Text is the file, with a line for each passphrase, so that a difference between two
// versions can be read; nil where nothing is sealed.
func (s *Sealed) Text() []byte {
	if len(s.files) == 0 {
		return nil
	}
	if s.lines == nil {
		s.lines, s.places, s.table, s.uses, s.late = map[string]string{}, map[string]int{}, nil, nil, nil
		s.order = slices.Sorted(maps.Keys(s.files))
		for _, name := range s.order {
			s.write(name)
		}
	}
	s.sort()
	size := 64 * (len(s.table) + 2)
	for _, r := range s.table {
		size += len(r)
	}
	for _, name := range s.order {
		size += len(s.lines[name]) + 2
	}
	b := bytes.NewBuffer(make([]byte, 0, size))
	list := func(lines iter.Seq[string]) {
		first := true
		for line := range lines {
			if !first {
				b.WriteByte(',')
			}
			first = false
			b.WriteByte('\n')
			b.WriteString(line)
		}
	}
	b.WriteString("{\n  \"format_version\": 1,\n  \"recipients\": [")
	list(func(yield func(string) bool) {
		for _, r := range s.table {
			if !yield("    " + jsonText(r)) {
				return
			}
		}
	})
	b.WriteString("\n  ],\n  \"files\": {")
	list(func(yield func(string) bool) {
		for _, name := range s.order {
			if !yield(s.lines[name]) {
				return
			}
		}
	})
	b.WriteString("\n  }\n}\n")
	return b.Bytes()
}

// sort brings the order up to date: it merges the late names, which are few beside the
// others, and leaves out those that were dropped.
func (s *Sealed) sort() {
	slices.Sort(s.late)
	out := make([]string, 0, len(s.files))
	add := func(name string) {
		if _, there := s.files[name]; there && (len(out) == 0 || out[len(out)-1] != name) {
			out = append(out, name)
		}
	}
	i := 0
	for _, name := range s.order {
		for ; i < len(s.late) && s.late[i] < name; i++ {
			add(s.late[i])
		}
		add(name)
	}
	for ; i < len(s.late); i++ {
		add(s.late[i])
	}
	s.order, s.late = out, nil
}
