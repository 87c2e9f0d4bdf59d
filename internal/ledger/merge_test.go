package ledger

import (
	"strings"
	"testing"
)

func TestMergeIndex(t *testing.T) {
	row := func(state, end, revoked, serial, owner string) string {
		return strings.Join([]string{state, end, revoked, serial, owner, "/CN=x"}, "\t") + "\n"
	}
	const end, early, late = "270101000000Z", "260301000000Z", "260301000500Z"
	valid := row("V", end, "", "01", "user.a")
	for name, c := range map[string]struct{ theirs, ours, want string }{
		"nothing":              {"", "", ""},
		"theirs alone":         {row("V", end, "", "0A", "unknown"), valid, row("V", end, "", "0A", "unknown") + valid},
		"revoked by them":      {row("R", end, late+",keyCompromise", "01", "user.a"), valid, row("R", end, late+",keyCompromise", "01", "user.a")},
		"revoked by us":        {valid, row("R", end, early+",superseded", "01", "user.a"), row("R", end, early+",superseded", "01", "user.a")},
		"the graver reason":    {row("R", end, late+",keyCompromise", "01", "user.a"), row("R", end, early+",cessationOfOperation", "01", "user.a"), row("R", end, early+",keyCompromise", "01", "user.a")},
		"a reason for none":    {row("R", end, early, "01", "user.a"), row("R", end, early+",affiliationChanged", "01", "user.a"), row("R", end, early+",affiliationChanged", "01", "user.a")},
		"ours, said in full":   {row("R", end, late, "01", "user.a"), row("R", end, late+",keyTime,20260301000000Z", "01", "user.a"), row("R", end, late+",keyTime,20260301000000Z", "01", "user.a")},
		"expired by updatedb":  {row("E", end, "", "01", "user.a"), valid, row("E", end, "", "01", "user.a")},
		"our owner":            {valid, row("V", end, "", "01", "user.a,user.b"), row("V", end, "", "01", "user.a,user.b")},
		"the later end of two": {valid, row("V", "280101000000Z", "", "01", "user.a"), row("V", "280101000000Z", "", "01", "user.a")},
	} {
		have, err := mergeIndex([]byte(c.theirs), []byte(c.ours))
		if err != nil || string(have) != c.want {
			t.Errorf("%s: %v\n%swant\n%s", name, err, have, c.want)
		}
		if again, err := mergeIndex(have, []byte(c.ours)); err != nil || string(again) != c.want {
			t.Errorf("%s, merged again: %v\n%swant\n%s", name, err, again, c.want)
		}
	}
	if _, err := mergeIndex([]byte("garbage\n"), []byte(valid)); err == nil {
		t.Error("garbage was merged")
	}
}

func TestMergeNumber(t *testing.T) {
	for _, c := range [][3]string{{"0A\n", "09\n", "0A\n"}, {"09\n", "0A\n", "0A\n"}, {"FF\n", "0100\n", "0100\n"}} {
		if have, err := mergeNumber([]byte(c[0]), []byte(c[1])); err != nil || string(have) != c[2] {
			t.Errorf("%q: %q %v", c, have, err)
		}
	}
	if _, err := mergeNumber([]byte("x\n"), []byte("01\n")); err == nil {
		t.Error("garbage was merged")
	}
}
