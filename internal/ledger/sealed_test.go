package ledger

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

// Whatever was put and dropped, in whatever order, the text is that of a record which was
// made at once, and reads as it.
func TestSealed(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	want := map[string]SealedFile{}
	s := ParseSealed(nil)
	for i := range 2000 {
		name := fmt.Sprintf("secrets/u%d-m.pass.age", random.IntN(60))
		if random.IntN(3) == 0 {
			_, had := want[name]
			if s.Drop(name) != had {
				t.Fatalf("%d: dropped %s", i, name)
			}
			delete(want, name)
		} else {
			f := SealedFile{Sum{byte(i)}, []string{fmt.Sprintf("age1%d", random.IntN(5)), "ssh-rsa \"<A>"}[random.IntN(2):]}
			s.Put(name, f)
			want[name] = f
		}
		if random.IntN(4) > 0 {
			continue
		}
		text := s.Text()
		if (text == nil) != (len(want) == 0) {
			t.Fatalf("%d: %q", i, text)
		}
		again := ParseSealed(text)
		if !reflect.DeepEqual(again.files, want) || again.Len() != len(want) {
			t.Fatalf("%d:\n%s\nis\n%v\nand not\n%v", i, text, again.files, want)
		}
		if !bytes.Equal(again.Text(), text) {
			t.Fatalf("%d:\n%s\nis written anew as\n%s", i, text, again.Text())
		}
	}
	for _, text := range []string{"", "{", `{"format_version":2,"recipients":["a"],"files":{"x":{"sha256":"","recipients":[0]}}}`,
		`{"format_version":1,"recipients":[],"files":{"x":{"sha256":"0000000000000000000000000000000000000000000000000000000000000000","recipients":[0]}}}`} {
		if have := ParseSealed([]byte(text)); have.Len() != 0 {
			t.Errorf("%s is %v", text, have.files)
		}
	}
}
