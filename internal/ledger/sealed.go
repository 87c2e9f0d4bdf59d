package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SealedName is the file that remembers to whom passphrases are sealed, which the sealed
// files themselves do not show; relative to the output directory.
const SealedName = "db/sealed.json"

// Sealed is what that file says, by the path of a sealed passphrase.
type Sealed struct {
	files   map[string]SealedFile
	unsaved int // changes that no text has yet
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
	if json.Unmarshal(unmarked(data), &f) != nil || f.FormatVersion != sealedVersion {
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
	s.files[name] = f
	s.unsaved++
}

// Drop forgets a file, and reports whether it was known.
func (s *Sealed) Drop(name string) bool {
	_, known := s.files[name]
	if known {
		delete(s.files, name)
		s.unsaved++
	}
	return known
}

// Unsaved is how many changes came after the last text.
func (s *Sealed) Unsaved() int { return s.unsaved }

// Text is the file, with a line for each passphrase, so that a difference between two
// versions can be read; nil where nothing is sealed.
func (s *Sealed) Text() []byte {
	s.unsaved = 0
	if len(s.files) == 0 {
		return nil
	}
	var table, lines []string
	places := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		f := s.files[name]
		e := sealedEntry{SHA256: hex.EncodeToString(f.Sum[:]), Recipients: []int{}}
		for _, r := range f.Recipients {
			i, placed := places[r]
			if !placed {
				i = len(table)
				places[r], table = i, append(table, jsonText(r))
			}
			e.Recipients = append(e.Recipients, i)
		}
		lines = append(lines, jsonText(name)+": "+jsonText(e))
	}
	list := func(lines []string) string { return "\n    " + strings.Join(lines, ",\n    ") + "\n  " }
	return fmt.Appendf(nil, "{\n  \"format_version\": %d,\n  \"recipients\": [%s],\n  \"files\": {%s}\n}\n", sealedVersion, list(table), list(lines))
}

func jsonText(v any) string {
	text, _ := json.Marshal(v) // of values that always can be written
	return string(text)
}
