package inventory

import (
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

// Gate reads what decides who gets in: the CA certificate file, the CRLs, the CA
// database and the generations of the CA. No file that holds a secret is read.
func (r *Reader) Gate() (facts.CertificateFile, facts.CRL, *ledger.Ledger, []ledger.Generation, error) {
	f, err := r.caFile(plan.KindCrt)
	if err != nil {
		return facts.CertificateFile{}, facts.CRL{}, nil, nil, err
	}
	if err := r.readLedger(); err != nil {
		return facts.CertificateFile{}, facts.CRL{}, nil, nil, err
	}
	ca, gens := facts.CA{Owner: r.caOwner(), Crt: certificates(f)}, r.generations()
	crl := r.crl(&ca, gens)
	return ca.Crt, crl, r.ledger, gens, crl.Err
}

// GateFiles are the names of the files that [Reader.Gate] reads.
func GateFiles(ca string) []string {
	return []string{
		facts.CAPath(ca, plan.KindCrt).String(), facts.CAPath(ca, plan.KindCRL).String(),
		ledger.IndexName, ledger.IssuedName,
	}
}
