package engine

import (
	"context"
	"os"
	"reflect"
	"testing"
	"time"

	"mtlsplan/internal/outdir"
)

// What is said of a user of whom nothing is there is what reading would say.
func TestAbsentFacts(t *testing.T) {
	cfg := load(t, `
ca "m" {
  subject { common_name = "The CA" }
  key = "ecdsa-p256"
}
user "ann" { email = "ann@example.com" }
user "bob" {
  email = "bob@example.com"
  p12   = ["modern", "compat"]
}
user "cyd" {
  email      = "cyd@example.com"
  passphrase = { env = "CYD" }
}
user "dan" {
  email              = "dan@example.com"
  challenge_password = { env = "CYD" }
}
`)
	dir, err := outdir.Open(cfg.Output)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	t.Setenv("CYD", "correct horse")
	s := newSession(context.Background(), cfg, Options{Now: time.Now(), LookupEnv: os.LookupEnv}, dir)
	defer s.close()
	for i, want := range []bool{true, true, false, false} {
		u := &cfg.Users[i]
		read := s.observer().user(u, "")
		if read.nothing() != want {
			t.Errorf("%s: %v", u.Name, !want)
		}
		if want && !reflect.DeepEqual(&read, absentFacts(cfg, u)) {
			t.Errorf("%s: read %+v\nsaid %+v", u.Name, read, absentFacts(cfg, u))
		}
	}
}
