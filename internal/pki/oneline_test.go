package pki

import "testing"

// TestCommonNameIn reads back what NameOneLine prints.
func TestCommonNameIn(t *testing.T) {
	for _, name := range []string{"ada (laptop)", "Åsa Öberg", "a/b+c", "艾达"} {
		der, err := Subject{Organization: "O", CommonName: name, Email: "a@example.com"}.DER()
		if err != nil {
			t.Fatal(err)
		}
		if got := CommonNameIn(NameOneLine(der)); got != name {
			t.Errorf("%q is read as %q from %s", name, got, NameOneLine(der))
		}
	}
	if got := CommonNameIn("/O=O"); got != "" {
		t.Errorf("%q without a common name", got)
	}
}
