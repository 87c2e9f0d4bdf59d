package policy

import (
	"fmt"
	"strings"

	"mtlsplan/internal/plan"
)

// userAdopted says what was found. It is a reason of its own: with nothing else
// to mend, recording it is all there is to do.
func userAdopted(v *userView) []finding {
	var said []string
	if v.adopted {
		said = append(said, v.describe()+"; it is taken over")
	}
	if n := len(v.further); n > 0 {
		said = append(said, fmt.Sprintf("the user's files hold %s of this CA (serial %s): %s recorded too, and revoked when the user leaves",
			plural(n, "further certificate"), strings.Join(v.further, ", "), agree(n, "it is", "they are")))
	}
	if len(said) == 0 {
		return nil
	}
	return one(plan.Adopt, plan.Reason{Message: strings.Join(said, "; ")})
}

// describe says what was made by hand.
func (v *userView) describe() string {
	var parts []string
	switch {
	case v.Asked != nil:
	case v.Key.InP12 && v.Key.Type != "":
		parts = append(parts, fmt.Sprintf("no key file (%s has a key of type %s)", v.Key.Name(), v.Key.Type))
	case v.Key.Missing || v.Key.InP12:
		parts = append(parts, "no key")
	case v.Key.Type != "":
		parts = append(parts, fmt.Sprintf("a key of type %s (%s)", v.Key.Type, v.Key.Info.Encoding))
	default:
		parts = append(parts, "a key that does not open")
	}
	parts = append(parts, describeCert(&v.Crt))
	for i := range v.P12 {
		if p := &v.P12[i]; !p.Missing {
			parts = append(parts, "a .p12 ("+p.Info.Encoding+")")
			break
		}
	}
	origin := "made by hand: "
	if v.lost {
		origin = "issued by the CA and lost from its database: "
	}
	return origin + strings.Join(parts, ", ")
}
