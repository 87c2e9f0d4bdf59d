package policy

import (
	"fmt"
	"slices"
	"strings"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/plan"
)

// Who leaves while somebody comes under nearly the same name is most likely the same user,
// for whom nobody has written a moved block.

// sameName refuses a user of the spec with the name or the files of one who is no longer
// there: most likely it is the same user, whom nobody means to shut out.
func (j *judgement) sameName(d *departed, have *facts.Departed) []finding {
	twin, what := have.Twin, "only upper and lower case differ"
	switch {
	case twin == "":
		if twin = j.respelt(d, have.Owner); twin == "" {
			return nil
		}
		what = "but for the device only upper and lower case differ"
	case len(d.rows) == 0 && (len(have.Files) == 0 || j.Ledger.Knows(string(twin))):
		return nil
	case have.Owner.IsDevice() != twin.IsDevice():
		what = "their files have the same names"
	}
	out := twin
	oneDevice := twin.Person() == have.Owner.Person() && twin.IsDevice() && have.Owner.IsDevice()
	if !oneDevice && strings.EqualFold(string(have.Owner.Person()), string(twin.Person())) {
		out = twin.Person() // or another device is taken for the one who has left
	}
	return refuse(plan.Moved, fmt.Sprintf("the spec lists %s and not %s any more, and %s: for one and the same user, write a moved block with from = %q and to = %q; for another, take %s out of the spec for one run, so that %s is revoked first",
		twin, have.Owner, what, have.Owner, twin, out, have.Owner))
}

// respelt is the user of the spec, or the device of one, who is new and whose name differs
// from that of a user who has departed in case, beside a device that came or went; "" for
// none. Each is given for one of those who have departed.
func (j *judgement) respelt(d *departed, owner plan.Owner) plan.Owner {
	if d.code != plan.Removed || len(d.rows) == 0 {
		return ""
	}
	if j.respellings == nil {
		j.respellings = j.newBySpelling()
	}
	key := strings.ToLower(string(owner.Person()))
	list := j.respellings[key]
	i := slices.IndexFunc(list, func(o plan.Owner) bool { return o.Person() != owner.Person() })
	if i < 0 {
		return ""
	}
	twin := list[i]
	j.respellings[key] = slices.Delete(list, i, i+1)
	return twin
}

// newBySpelling are the users of the spec, by their persons' names without regard to case,
// where one like that has departed. A person who has a certificate, or for whom a block is
// asked already, is none: devices come and go.
func (j *judgement) newBySpelling() map[string][]plan.Owner {
	out, known := map[string][]plan.Owner{}, map[plan.Owner]bool{}
	for i := range j.found.departed {
		have := &j.Have.Departed[j.found.departed[i].index]
		out[strings.ToLower(string(have.Owner.Person()))] = nil
		known[have.Twin.Person()] = true
	}
	for i := range j.Config.Users {
		o := plan.User(j.Config.Users[i].Name)
		key := strings.ToLower(string(o.Person()))
		if _, departed := out[key]; departed {
			out[key] = append(out[key], o)
			known[o.Person()] = known[o.Person()] || len(j.Ledger.Valid(string(o), j.Now)) > 0
		}
	}
	for key, list := range out {
		out[key] = slices.DeleteFunc(list, func(o plan.Owner) bool { return known[o.Person()] })
	}
	return out
}

// filesOfTwin reports whether the files of a user of the spec are those of somebody who is
// refused for having the same name.
func (j *judgement) filesOfTwin(owner plan.Owner) bool {
	return slices.ContainsFunc(j.found.departed, func(d departed) bool {
		have := &j.Have.Departed[d.index]
		return have.Twin == owner && len(have.Files) == 0 && len(d.rows) > 0
	})
}

// successor is a new owner in the spec who may be one who has departed: a user who has
// devices now, or no longer; "" for none.
func (j *judgement) successor(owner plan.Owner) plan.Owner {
	if j.fresh == nil {
		j.fresh = map[plan.Owner]plan.Owner{}
		for i := range j.Config.Users {
			if o := plan.User(j.Config.Users[i].Name); !j.Ledger.Knows(string(o)) && j.fresh[o.Person()] == "" {
				j.fresh[o.Person()] = o
			}
		}
	}
	if o := j.fresh[owner.Person()]; o.IsDevice() != owner.IsDevice() {
		delete(j.fresh, owner.Person()) // two cannot become one
		return o
	}
	return ""
}
