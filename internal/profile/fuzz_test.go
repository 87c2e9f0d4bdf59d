package profile

import "testing"

// Whatever the octets are, there is a judgement and no panic.
func FuzzJudge(f *testing.F) {
	ca, user := goodCA().der(), goodUser().der()
	list, _ := goodCRL().der()
	f.Add(ca)
	f.Add(user)
	f.Add(list)
	f.Add(goodRequest().der())
	f.Fuzz(func(_ *testing.T, der []byte) {
		Certificate(User, der, ca)
		Certificate(CA, der, der)
		CRL(der, ca)
		Request(der, user)
	})
}
