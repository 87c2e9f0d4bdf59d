package ledger

import "encoding/json"

// OwedName is the file of what a run has begun with somebody else and not finished:
// requests to an authority, deployments to a proxy. It is there only while a run is at
// work, was killed, or has failed at it; the next run goes on with what it says.
const OwedName = "db/owed.json"

// Owed is what that file says.
type Owed struct {
	// Requests are of certificates that an authority which outlives the run was asked for:
	// what it has issued exists, and must be recorded, although nobody has put it into place.
	Requests []Request `json:"requests,omitempty"`

	// Deployments are of sites that the proxy may not serve as they are in the directory.
	Deployments []Deployment `json:"deployments,omitempty"`
}

// Request is one certificate that an authority was asked for.
type Request struct {
	ID    string `json:"id"` // serial in upper-case hex
	Owner string `json:"owner"`
}

// Deployment is one site that is to be deployed.
type Deployment struct {
	Owner string `json:"owner"`

	// Before is what lay on the proxy's host before the first copy was put there; empty
	// until then. It is put back where the deployment fails, in whichever run it does.
	Before []Replaced `json:"before,omitempty"`
}

// Replaced is a file on the proxy's host that a copy takes the place of.
type Replaced struct {
	Path string   `json:"path"`
	Put  []string `json:"put"`            // SHA-256 of the copies that were put there since, in hex
	Kept bool     `json:"kept,omitempty"` // the rest is of the copy itself, because what was there must not come back

	Missing bool   `json:"missing,omitempty"` // nothing lay there
	Data    []byte `json:"data,omitempty"`
	Mode    uint32 `json:"mode,omitempty"` // permission bits
	UID     int    `json:"uid,omitempty"`
	GID     int    `json:"gid,omitempty"`
}

// owedVersion is the version of the file's format.
const owedVersion = 2

// owedFile is the file.
type owedFile struct {
	FormatVersion int `json:"format_version"`
	Owed
}

// ParseOwed reads the file of what is owed; ok is false where it cannot be read.
func ParseOwed(data []byte) (o Owed, ok bool) {
	var f owedFile
	if json.Unmarshal(unmarked(data), &f) != nil || f.FormatVersion != owedVersion {
		return Owed{}, false
	}
	return f.Owed, true
}

// FormatOwed writes the file of what is owed, nil where nothing is.
func FormatOwed(o Owed) []byte {
	if len(o.Requests) == 0 && len(o.Deployments) == 0 {
		return nil
	}
	text, _ := json.Marshal(owedFile{owedVersion, o}) // of values that always can be written
	return append(text, '\n')
}
