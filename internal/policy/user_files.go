package policy

import (
	"fmt"
	"slices"
	"strings"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// The policies of what is made from a user's key and certificate, and of what
// else lies there. None of them issues anything.

func csrMissing(v *userView) []finding {
	if !v.CSR.Missing {
		return nil
	}
	return one(plan.Repair, plan.Reason{Message: v.CSR.Name() + " is gone"}, plan.KindCSR)
}

func csrDamaged(v *userView) []finding {
	c := v.CSR.Request
	switch {
	case v.CSR.Missing:
		return nil
	case v.Asked != nil && c != nil:
		return nil // csrUpstream compares it with the user's
	case c != nil && c.SPKI == v.spki() &&
		(v.cert == nil || c.Subject == v.cert.Subject && slices.Equal(c.SANs, v.cert.SANs)):
		return nil
	}
	return one(plan.Repair, plan.Reason{Message: v.CSR.Name() + " is not the request that the certificate answers"}, plan.KindCSR)
}

// spki identifies the key that request and .p12 must hold. After a key-mismatch
// that is the certificate's: they are not blamed for the key.
func (v *userView) spki() string {
	if v.cert != nil {
		return v.cert.SPKI
	}
	return v.Key.SPKI
}

// csrUpstream compares the copy with the request that the user has made.
func csrUpstream(v *userView) []finding {
	c := v.CSR.Request
	if v.Asked == nil || c == nil || c.Sum == v.Asked.Sum {
		return nil
	}
	return one(plan.Rebuild, plan.Reason{Message: v.CSR.Name() + " is not a copy of the user's current request", Field: "csr"}, plan.KindCSR)
}

func challengeDiffers(v *userView) []finding {
	if v.CSR.Request == nil || v.Asked != nil || !v.CSR.ChallengeDiffers {
		return nil
	}
	return one(plan.Rebuild, plan.Reason{Message: v.CSR.Name() + " holds another challenge password than the spec's", Field: "challenge_password"}, plan.KindCSR)
}

// eachP12 asks about each .p12; no reason stands for nothing to find.
func (v *userView) eachP12(action plan.Action, about func(p *facts.P12) *plan.Reason) []finding {
	var out []finding
	for i := range v.P12 {
		if r := about(&v.P12[i]); r != nil {
			out = append(out, one(action, *r, v.P12[i].Kind)...)
		}
	}
	return out
}

func p12Missing(v *userView) []finding {
	return v.eachP12(plan.Rebuild, func(p *facts.P12) *plan.Reason {
		if !p.Missing {
			return nil
		}
		return &plan.Reason{Message: p.Name() + " is not there"}
	})
}

// p12Damaged: a .p12 does not tell a wrong passphrase from altered bytes. The key
// does: one that opens has the passphrase right.
func p12Damaged(v *userView) []finding {
	return v.eachP12(plan.Repair, func(p *facts.P12) *plan.Reason {
		if p.Opening != facts.Unreadable && (p.Opening != facts.OpensNeither || !v.Key.Proves()) {
			return nil
		}
		return &plan.Reason{Message: p.Name() + " cannot be read, or was altered"}
	})
}

func p12Passphrase(v *userView) []finding {
	return v.eachP12(plan.Rebuild, func(p *facts.P12) *plan.Reason {
		if p.Missing || v.Key.Proves() || p.Opening == facts.OpensNow || p.Opening == facts.Unreadable {
			return nil
		}
		return &plan.Reason{Message: p.Name() + " does not open with passphrase"}
	})
}

func p12Encoding(v *userView) []finding {
	return v.eachP12(plan.Rebuild, func(p *facts.P12) *plan.Reason {
		switch {
		case p.Missing || p.Opening == facts.Unreadable:
			return nil
		case p.Info.Profile != p.Profile:
			return &plan.Reason{Message: p.Name() + " has another profile than the spec asks for", Field: "p12", Have: profileName(p.Info), Want: string(p.Profile)}
		case p.Info.Iterations != p.Profile.Iterations(v.spec.KDFIterations):
			return &plan.Reason{Message: p.Name() + " has another kdf_iterations than the spec asks for", Field: "kdf_iterations",
				Have: fmt.Sprint(p.Info.Iterations), Want: fmt.Sprint(v.spec.KDFIterations)}
		}
		return nil
	})
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
func p12Upstream(v *userView) []finding {
	return v.eachP12(plan.Rebuild, func(p *facts.P12) *plan.Reason {
		if p.Opening != facts.OpensNow || v.cert == nil || p.SPKI == v.spki() && p.Cert == v.cert.Sum {
			return nil
		}
		return &plan.Reason{Message: p.Name() + " holds another key or certificate than those beside it"}
	})
}

// strayFiles finds files that the spec has no use for: a .p12 of a profile that
// is no longer asked for; of a csr user also a key of ours.
func strayFiles(v *userView) []finding {
	if len(v.Stray) == 0 {
		return nil
	}
	var names []string
	for i := range v.Stray {
		names = append(names, v.Stray[i].Name())
	}
	message := ": the spec asks for no such file; it is removed"
	if v.spec.CSR != "" {
		message = ": the user makes the key; what was made before moves to db/retired"
	}
	return []finding{{Reason: plan.Reason{Message: strings.Join(names, ", ") + message, Field: "p12"}, action: plan.Rebuild, removes: v.Stray}}
}

func userStrayPass(v *userView) []finding {
	if v.Asked != nil {
		return nil // strayFiles has it
	}
	return strayPass(&v.Passphrase, v.spec.Passphrase)
}

func userModes(v *userView) []finding {
	out := wide(wide(wide(wide(nil, &v.Passphrase.File), &v.Key.File), &v.CSR.File), &v.Crt.File)
	for i := range v.P12 {
		out = wide(out, &v.P12[i].File)
	}
	return out
}
