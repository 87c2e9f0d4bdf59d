package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
)

// SealedName is the file that remembers to whom passphrases are sealed, which the sealed
// files themselves do not show; relative to the output directory.
const SealedName = "db/sealed.json"

// Sealed is what that file says, by the path of a sealed passphrase.
type Sealed map[string]SealedFile

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
func ParseSealed(data []byte) Sealed {
	out := Sealed{}
	var f sealedFile
	if json.Unmarshal(data, &f) != nil || f.FormatVersion != sealedVersion {
		return out
	}
	lists := map[string][]string{} // shared by the files that have the same
	for name, e := range f.Files {
		sum, err := hex.DecodeString(e.SHA256)
		if err != nil || len(sum) != sha256.Size || slices.ContainsFunc(e.Recipients, func(i int) bool { return i < 0 || i >= len(f.Recipients) }) {
			continue
		}
		key, _ := json.Marshal(e.Recipients)
		list, known := lists[string(key)]
		if !known {
			for _, i := range e.Recipients {
				list = append(list, f.Recipients[i])
			}
			lists[string(key)] = list
		}
		out[name] = SealedFile{Sum(sum), list}
	}
	return out
}

// Text is the file, with a line for each passphrase, so that a difference between two
// versions can be read; nil where nothing is sealed.
func (s Sealed) Text() []byte {
	if len(s) == 0 {
		return nil
	}
	places := map[string]int{}
	for _, f := range s {
		for _, r := range f.Recipients {
			places[r] = 0
		}
	}
	all := slices.Sorted(maps.Keys(places))
	for i, r := range all {
		places[r] = i
	}
	write := func(v any) []byte {
		text, _ := json.Marshal(v) // of values that always can be written
		return text
	}
	var b bytes.Buffer
	b.WriteString("{\n  \"format_version\": 1,\n  \"recipients\": [")
	for i, r := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n    ")
		b.Write(write(r))
	}
	b.WriteString("\n  ],\n  \"files\": {")
	for i, name := range slices.Sorted(maps.Keys(s)) {
		if i > 0 {
			b.WriteByte(',')
		}
		f := s[name]
		e := sealedEntry{SHA256: hex.EncodeToString(f.Sum[:]), Recipients: []int{}}
		for _, r := range f.Recipients {
			e.Recipients = append(e.Recipients, places[r])
		}
		b.WriteString("\n    ")
		b.Write(write(name))
		b.WriteString(": ")
		b.Write(write(e))
	}
	b.WriteString("\n  }\n}\n")
	return b.Bytes()
}
