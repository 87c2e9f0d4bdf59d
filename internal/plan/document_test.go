package plan

import (
	"errors"
	"fmt"
	"regexp"
	"testing"
)

// TestTablesOfCodes holds the codes of each table against their form and one
// another.
func TestTablesOfCodes(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	for name, table := range map[string][]CodeDoc{"reasons": Codes(), "notes": NoteCodes(), "failures": FailureCodes(), "errors": ErrorCodes()} {
		seen := map[Code]bool{}
		for _, c := range table {
			if !form.MatchString(string(c.Code)) || seen[c.Code] || c.Doc == "" {
				t.Errorf("%s: %q is malformed, there twice or without a sentence", name, c.Code)
			}
			seen[c.Code] = true
		}
	}
}

func TestFailureOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Code
	}{
		{errors.New("m"), Failed},
		{Errorf(CSRInvalid, "m"), CSRInvalid},
		{fmt.Errorf("m: %w", Errorf(KeyReused, "n")), KeyReused},
		{Errorf(CAUnavailable, "m: %w", Errorf(PassphraseWrong, "n")), CAUnavailable},
	} {
		if f := FailureOf("user.ann", c.err); f.Owner != "user.ann" || f.Code != c.want || f.Message != c.err.Error() {
			t.Errorf("%v: got %+v, want the code %s", c.err, f, c.want)
		}
	}
}
