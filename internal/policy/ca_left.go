package policy

import (
	"crypto/x509"
	"slices"

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
	out := map[string]bool{}
	for i := range j.trust.Generations {
		g := &j.trust.Generations[i]
		stays := i == len(j.trust.Generations)-1 && !j.issuer.rolled
		if stays || g.Dependents == 0 || g.Dependents > len(planned) || j.trust.Compromised(g) {
			continue
		}
		if !slices.ContainsFunc(j.dependents(g), func(r ledger.Row) bool { return !planned[r.Serial] }) {
			out[g.SPKI] = true
		}
	}
	return out
}

// dependents are the rows of users' certificates of a generation that are neither revoked
// nor past their end.
func (j *judgement) dependents(g *ledger.Generation) []ledger.Row {
	var out []ledger.Row
	rows := j.Ledger.Rows()
	for i := range rows {
		if r := &rows[i]; r.State != ledger.Revoked && j.Now.Before(r.NotAfter) && ledger.IsUser(r.Owner) && j.trust.Signer(*r) == g.SPKI {
			out = append(out, *r)
		}
	}
	return out
}
