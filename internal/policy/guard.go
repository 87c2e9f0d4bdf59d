package policy

import (
	"fmt"

	"mtlsplan/internal/plan"
)

// guard refuses a plan that would shut out more users than one run may. It
// counts those who were active before and would have no valid certificate: a user
// who keeps one on another device is not shut out.
func (j *judgement) guard() {
	if len(j.shut) == 0 {
		return
	}
	keeps := map[plan.Owner]bool{} // every active user, and whether one device stays valid
	for _, owner := range j.Ledger.Active(j.Now) {
		o := plan.Owner(owner)
		keeps[o.Person()] = keeps[o.Person()] || !j.shut[o]
	}
	active, shut := len(keeps), 0
	for _, stays := range keeps {
		if !stays {
			shut++
		}
	}
	limit := max(1, active/10)
	if m := j.Config.Guard.MaxRevocations; m != nil {
		limit = *m
	}
	if shut <= max(limit, j.Ask.Allow) {
		return
	}
	j.add(newTask(OfCA, 0, j.Have.CA.Owner, []finding{{
		Reason: plan.Reason{
			Code: plan.Removed,
			Message: fmt.Sprintf("this would leave %s of %d active without a valid certificate, and the limit for one run is %d: check the spec; plan --allow-revocations %d names them, and apply with the same flag goes on",
				plural(shut, "user"), active, limit, shut),
			Field: "guard.max_revocations", Have: fmt.Sprint(shut), Want: fmt.Sprint(limit),
		},
		action: plan.Refuse,
	}}))
}
