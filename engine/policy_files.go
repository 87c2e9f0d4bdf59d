package engine

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
)

// The policies of what is made from a user's key and certificate. None of them
// issues anything.

func csrMissing(v userView) []finding {
	if !v.csr.missing {
		return nil
	}
	return []finding{{Reason: Reason{Message: v.csr.name + " is gone"}, action: Repair, makes: []string{kindCSR}}}
}

func csrDamaged(v userView) []finding {
	c := v.csr.csr
	switch {
	case v.csr.missing:
		return nil
	case v.asked != nil && c != nil:
		return nil // csrUpstream compares it with the user's
	case c != nil && c.public == v.public() &&
		(v.cert == nil || c.subject == v.cert.subject && slices.Equal(c.sans, v.cert.sans)):
		return nil
	}
	return []finding{{Reason: Reason{Message: v.csr.name + " is not the request that the certificate answers"}, action: Repair, makes: []string{kindCSR}}}
}

// csrUpstream compares the copy with the request that the user has made.
func csrUpstream(v userView) []finding {
	c := v.csr.csr
	if v.asked == nil || c == nil || bytes.Equal(c.raw, v.asked.raw) {
		return nil
	}
	return []finding{{Reason: Reason{Message: v.csr.name + " is a copy of another request than the user's now", Field: "csr"}, action: Rebuild, makes: []string{kindCSR}}}
}

func challengeChanged(v userView) []finding {
	if v.csr.csr == nil || v.asked != nil || v.csr.csr.challenge.Equal(v.challenge) {
		return nil
	}
	return []finding{{Reason: Reason{Message: v.csr.name + " holds another challenge password than the spec's", Field: "challenge_password"}, action: Rebuild, makes: []string{kindCSR}}}
}

func p12Each(v userView, f func(p p12Facts) *Reason, action Action) []finding {
	var out []finding
	for _, p := range v.p12 {
		if r := f(p); r != nil {
			out = append(out, finding{Reason: *r, action: action, makes: []string{p.kind}})
		}
	}
	return out
}

func p12Missing(v userView) []finding {
	return p12Each(v, func(p p12Facts) *Reason {
		if !p.missing {
			return nil
		}
		return &Reason{Message: p.name + " is not there"}
	}, Rebuild)
}

// A .p12 does not tell a wrong passphrase from altered bytes. The key does: one
// that opens has the passphrase right.
func p12Damaged(v userView) []finding {
	return p12Each(v, func(p p12Facts) *Reason {
		if p.opened != cannotBeOpened && (p.opened != opensNeither || v.key.opened != opensNow) {
			return nil
		}
		return &Reason{Message: p.name + " cannot be read, or was altered"}
	}, Repair)
}

func p12Passphrase(v userView) []finding {
	return p12Each(v, func(p p12Facts) *Reason {
		if p.missing || v.key.opened != opensPrevious || p.opened == opensNow {
			return nil
		}
		return &Reason{Message: p.name + " does not open with passphrase"}
	}, Rebuild)
}

func p12Encoding(v userView) []finding {
	return p12Each(v, func(p p12Facts) *Reason {
		switch {
		case p.missing || p.opened == cannotBeOpened:
			return nil
		case p.info.Profile != p.profile:
			return &Reason{Message: p.name + " has another profile than the spec asks for", Field: "p12", Have: profileName(p.info), Want: string(p.profile)}
		case p.info.Iterations != v.spec.KDFIterations:
			return &Reason{Message: p.name + " has another kdf_iterations than the spec asks for", Field: "kdf_iterations",
				Have: fmt.Sprint(p.info.Iterations), Want: fmt.Sprint(v.spec.KDFIterations)}
		}
		return nil
	}, Rebuild)
}

// profileName is the profile that a file has, or its encoding where it is none of ours.
func profileName(info pki.P12Info) string {
	if info.Profile != "" {
		return string(info.Profile)
	}
	return info.Encoding
}

// p12Upstream compares what is inside with what lies beside it. The CA
// certificate in it is left out: a CA that was reissued changes no user.
func p12Upstream(v userView) []finding {
	return p12Each(v, func(p p12Facts) *Reason {
		if p.opened != opensNow || v.cert == nil || p.public == v.public() && p.cert == v.cert.sum {
			return nil
		}
		return &Reason{Message: p.name + " holds another key or certificate than those beside it"}
	}, Rebuild)
}

// strayP12 finds files that the spec has no use for: a .p12 of a profile that is
// asked for no more; of a csr user also a key of ours.
func strayP12(v userView) []finding {
	if len(v.stray) == 0 {
		return nil
	}
	var names []string
	for _, f := range v.stray {
		names = append(names, f.name)
	}
	message := strings.Join(names, ", ") + ": the spec asks for no such file; it is removed"
	if v.spec.CSR != "" {
		message = strings.Join(names, ", ") + ": the user makes the key; what was made before moves to " + outdir.DB + "/retired"
	}
	return []finding{{Reason: Reason{Message: message, Field: "p12"}, action: Rebuild, removes: v.stray}}
}
