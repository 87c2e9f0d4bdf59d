package ledger

import "encoding/json"

// RequestsName is the file of the requests to an authority that outlives the run:
// what it has issued exists, and must be recorded, although nobody has put it into
// place. It is there only while a run is at work, or was killed.
const RequestsName = "db/owed.json"

// Request is one certificate that an authority was asked for.
type Request struct {
	ID    string `json:"id"` // serial in upper-case hex
	Owner string `json:"owner"`
}

type requests struct {
	FormatVersion int       `json:"format_version"`
	Requests      []Request `json:"requests"`
}

// ParseRequests reads the file of requests; ok is false where it cannot be read.
func ParseRequests(data []byte) (list []Request, ok bool) {
	var f requests
	if json.Unmarshal(data, &f) != nil || f.FormatVersion != 1 {
		return nil, false
	}
	return f.Requests, true
}

// FormatRequests writes the file of requests.
func FormatRequests(list []Request) []byte {
	text, _ := json.Marshal(requests{1, list}) // of strings, which always can be written
	return append(text, '\n')
}
