package policy

import (
	"crypto/x509"

	"mtlsplan/internal/ledger"
)

// A CA on which nobody depends any more leaves in the run that takes the last
// certificate of it away, so that nothing is left to do after that run. Users are
// judged by the CA, and which CA stays by what users lose: so there is a second
// judgement, which knows.

// leaves are the certificates of earlier generations that this plan takes the last
// dependent from.
func (j *judgement) leaves() []*x509.Certificate {
	var out []*x509.Certificate
	for i := range j.trust.Generations {
		if g := &j.trust.Generations[i]; j.trust.left[g.SPKI] && g.SPKI != j.trust.Current().SPKI {
			out = append(out, g.Cert)
		}
	}
	return out
}

// leftAlone are the generations, by SPKI, that are left without anybody who depends on
// them when this plan is done, because it revokes what they have issued.
func (j *judgement) leftAlone() map[string]bool {
	if j.verdict.Plan.Refused() {
		return nil
	}
	planned := map[string]bool{}
	for _, r := range j.planned() {
		planned[r.Serial] = true
	}
	var out map[string]bool
	for i := range j.trust.Generations {
		g := &j.trust.Generations[i]
		current := i == len(j.trust.Generations)-1
		if g.Dependents == 0 || j.trust.Compromised(g) || current && !j.issuer.rolled || len(planned) < g.Dependents {
			continue
		}
		rows, stays := j.Ledger.Rows(), false
		for k := range rows {
			r := &rows[k]
			stays = stays || r.State != ledger.Revoked && j.Now.Before(r.NotAfter) && ledger.IsUser(r.Owner) && !planned[r.Serial] && j.trust.Signer(*r) == g.SPKI
		}
		if !stays {
			if out == nil {
				out = map[string]bool{}
			}
			out[g.SPKI] = true
		}
	}
	return out
}
