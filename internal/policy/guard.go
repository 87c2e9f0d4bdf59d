package policy

import (
	"fmt"

	"mtlsplan/internal/plan"
)

// guard refuses a plan that would shut out more users than one run may. It
// counts those who were active before and would have no valid certificate.
func (j *judgement) guard() {
	if j.shut == 0 {
		return
	}
	active := j.Ledger.Active(j.Now)
	limit := max(1, active/10)
	if m := j.Config.Guard.MaxRevocations; m != nil {
		limit = *m
	}
	if j.shut <= max(limit, j.Ask.Allow) {
		return
	}
	j.add(newTask(OfCA, 0, j.Have.CA.Owner, []finding{{
		Reason: plan.Reason{
			Code: plan.Removed,
			Message: fmt.Sprintf("this would leave %s of %d active without a valid certificate, and the limit for one run is %d: check the spec; plan --allow-revocations %d names them, and apply with the same flag goes on",
				plural(j.shut, "user"), active, limit, j.shut),
			Field: "guard.max_revocations", Have: fmt.Sprint(j.shut), Want: fmt.Sprint(limit),
		},
		action: plan.Refuse,
	}}))
}
