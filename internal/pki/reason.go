package pki

// Reason is why a certificate was revoked (RFC 5280 section 5.3.1).
type Reason struct {
	Name string // as in the RFC: "keyCompromise"
	Code int    // of CRLReason
}

// Reasons are all of them, in the order of their codes. Code 7 is not used.
var Reasons = []Reason{
	{"unspecified", 0},
	{"keyCompromise", 1},
	{"cACompromise", 2},
	{"affiliationChanged", 3},
	{"superseded", 4},
	{"cessationOfOperation", 5},
	{"certificateHold", 6},
	{"removeFromCRL", 8},
	{"privilegeWithdrawn", 9},
	{"aACompromise", 10},
}

// ReasonCode finds the code of a reason by its name in RFC 5280.
func ReasonCode(name string) (int, bool) {
	for _, r := range Reasons {
		if r.Name == name {
			return r.Code, true
		}
	}
	return 0, false
}

// ReasonName finds the name of a reason, "" for a code that does not exist.
func ReasonName(code int) string {
	for _, r := range Reasons {
		if r.Code == code {
			return r.Name
		}
	}
	return ""
}
