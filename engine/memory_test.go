package engine

import (
	"testing"
	"time"

	"mtlsplan/internal/plan"
)

func TestMemory(t *testing.T) {
	known := plan.Note{Owner: "user.ada", Code: plan.NextRenewal, Message: "two\nlines"}
	ended := time.Date(2027, 1, 31, 8, 0, 0, 0, time.UTC)
	text := Memory{EndedWell: ended}.text([]plan.Note{known})
	m := parseMemory(append(text, "told\nended soon\n\nthe end of an older text"...))
	if !m.EndedWell.Equal(ended) || !m.Told(known) {
		t.Errorf("%+v of %q", m, text)
	}
	for _, other := range []plan.Note{
		{Owner: "user.ada", Code: plan.NextRenewal, Message: "two"},
		{Owner: "user.bob", Code: plan.NextRenewal, Message: "two\nlines"},
		{Owner: "user.ada", Code: plan.ReasonKept, Message: "two\nlines"},
		{},
	} {
		if m.Told(other) {
			t.Errorf("%+v was never told", other)
		}
	}
	if parseMemory(nil).Told(known) {
		t.Error("an empty memory knows a note")
	}
}
