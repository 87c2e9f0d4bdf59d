package policy

import "mtlsplan/internal/plan"

// question is one of those that a function asks at once: what it finds is told apart by code
// and check, by code alone where it has no check.
type question struct {
	code  plan.Code
	check plan.CheckName
	holds string
	last  bool // where it finds something, nothing more is asked
}

// hearEach keeps the answers to questions, and what else was found.
func (a audience) hearEach(questions []question, found []finding) {
	over := isRefusal(found)
	for _, q := range questions {
		var these, others []finding
		for _, f := range found {
			if f.Code == q.code && (q.check == "" || f.Check == q.check) {
				these = append(these, f)
			} else {
				others = append(others, f)
			}
		}
		if found = others; len(these) > 0 || !over {
			a.hear(q.code, q.check, q.holds, these)
		}
		over = over || q.last && len(these) > 0
	}
	for _, f := range found {
		a.hear(f.Code, f.Check, "", []finding{f})
	}
}

// crlQuestions are asked by examineCRL, learntQuestions by learnt.
var (
	crlQuestions = []question{
		{plan.Missing, plan.FilesPresent, "the CRL is there", true},
		{plan.Damaged, plan.CRLSigned, "the CRL can be read, and is the only one of its CA in the file", true},
		{plan.EncodingChanged, plan.CRLSigned, "the CRL is PEM that a proxy reads", false},
		{plan.Upstream, plan.CRLSigned, "every CA that is trusted has signed its own, and no other has", false},
		{plan.UsageChanged, plan.CRLNumber, "the CRL has a number and says whose it is", false},
		{plan.Expired, plan.CRLCurrent, "the CRL has begun and has not ended", false},
		{plan.Expiring, plan.CRLCurrent, "the CRL does not end soon", false},
		{plan.Revoked, plan.CRLEntries, "every revocation is on the CRL", false},
	}
	learntQuestions = []question{
		{plan.Revoked, plan.CRLEntries, "the CA database has every revocation that a CRL lists", false},
		{plan.Damaged, plan.CRLNumber, "the next number is above that of the CRL", false},
	}
)

// siteQuestions are asked by examineSite.
var siteQuestions = []question{
	{plan.Mode, plan.Modes, "no file is open to more than it should be", false},
	{plan.Missing, "", "every file of the site is there", true},
	{plan.Damaged, "", "no file was edited by somebody else", true},
	{plan.Upstream, "", "every file is of the CAs, revocations and users as they are now", true},
	{plan.SettingsChanged, "", "every file is what the spec asks for", true},
}
