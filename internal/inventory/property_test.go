package inventory

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/statcache"
)

// The inventory is what reading and opening every file gives, whatever happens to
// the directory and however old the cache is.
func TestACachedInventoryEqualsAThoroughOne(t *testing.T) {
	if testing.Short() {
		t.Skip("a sweep")
	}
	t.Parallel()
	rounds := 100
	if testing.Short() {
		rounds = 30
	}
	for seed := range uint64(2) {
		w := warm(t, generated, generated, config.Source{Kind: config.FromFile}, config.Source{Kind: config.FromEnv, Env: "PASS"})
		rnd := rand.New(rand.NewPCG(seed, 0))
		var done []string
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("seed %d: %q", seed, done)
			}
		})
		older := w.read(statcache.Name)
		for range rounds {
			e := edits[rnd.IntN(len(edits))]
			done = append(done, e.name)
			e.do(w, rnd)
			w.alike()
			switch rnd.IntN(6) {
			case 0, 1:
				done = append(done, "keep")
				w.keep()
				w.alike()
			case 2:
				done = append(done, "an older cache")
				was := w.read(statcache.Name)
				w.write(statcache.Name, older)
				older = was
				w.alike()
			}
			if t.Failed() {
				return
			}
		}
	}
}

// edits are what may happen to a directory and to its spec.
var edits = []struct {
	name string
	do   func(w *world, rnd *rand.Rand)
}{
	{"alter", func(w *world, rnd *rand.Rand) { w.each(rnd, w.alter) }},
	{"remove", func(w *world, rnd *rand.Rand) { w.each(rnd, w.remove) }},
	{"touch", func(w *world, rnd *rand.Rand) {
		w.each(rnd, func(name string) { w.check(os.Chtimes(w.path(name), time.Now(), time.Now())) })
	}},
	{"mode", func(w *world, rnd *rand.Rand) {
		w.each(rnd, func(name string) { w.check(os.Chmod(w.path(name), os.FileMode(0o600|rnd.IntN(0o100)))) })
	}},
	{"write", func(w *world, rnd *rand.Rand) { w.each(rnd, func(name string) { w.write(name, w.read(name)) }) }},
	{"another's", func(w *world, rnd *rand.Rand) {
		kind, users := someKind(rnd), w.cfg.Users
		from, to := users[rnd.IntN(len(users))], users[rnd.IntN(len(users))]
		if data, err := os.ReadFile(w.path(facts.UserPath(from.Name+"-m", kind).String())); err == nil {
			w.write(facts.UserPath(to.Name+"-m", kind).String(), data)
		}
	}},
	{"made anew", func(w *world, rnd *rand.Rand) { w.anew(rnd, true) }},
	{"made anew, unrecorded", func(w *world, rnd *rand.Rand) { w.anew(rnd, false) }},
	{"made anew ", func(w *world, rnd *rand.Rand) { w.anew(rnd, true) }},
	{"stray", func(w *world, rnd *rand.Rand) {
		u := w.cfg.Users[rnd.IntN(len(w.cfg.Users))]
		name := u.Name + "-m." + string(pki.Profiles[rnd.IntN(2)]) + ".p12"
		if os.Remove(w.path(name)) != nil {
			w.write(name, []byte("x"))
		}
	}},
	{"profiles", func(w *world, rnd *rand.Rand) {
		lists := [][]pki.Profile{{pki.Modern}, {pki.Modern}, {pki.Compat}, {pki.Modern, pki.Compat}}
		w.cfg.Users[rnd.IntN(len(w.cfg.Users))].P12 = lists[rnd.IntN(len(lists))]
	}},
	{"sources", func(w *world, rnd *rand.Rand) {
		i, j := rnd.IntN(len(w.cfg.Users)), rnd.IntN(len(w.cfg.Users))
		a, b := &w.cfg.Users[i], &w.cfg.Users[j]
		a.Passphrase, b.Passphrase = b.Passphrase, a.Passphrase
	}},
	{"challenge", func(w *world, rnd *rand.Rand) {
		c := &w.cfg.Users[rnd.IntN(len(w.cfg.Users))].ChallengePassword
		if *c = (config.Source{Kind: config.FromEnv, Env: "PASS"}); rnd.IntN(2) == 0 {
			*c = config.Source{}
		}
	}},
	{"revoke", func(w *world, rnd *rand.Rand) {
		u := w.cfg.Users[rnd.IntN(len(w.cfg.Users))]
		if data, err := os.ReadFile(w.path(u.Name + "-m.crt")); err == nil {
			if certs, err := pki.ParseCertificates(data); err == nil {
				w.commit(ledger.Revoke{Serial: pki.SerialHex(certs[0].SerialNumber), When: now, Reason: []string{"", ledger.Superseded}[rnd.IntN(2)],
					Owner: string(plan.User(u.Name)), NotAfter: certs[0].NotAfter})
			}
		}
	}},
	{"time", func(w *world, rnd *rand.Rand) { w.opt.Now = now.AddDate(0, rnd.IntN(15), 0) }},
	{"a copy", func(w *world, rnd *rand.Rand) {
		away := w.cfg.Output + ".away"
		w.check(os.Rename(w.cfg.Output, away))
		out, err := exec.Command("cp", []string{"-r", "-a"}[rnd.IntN(2)], away, w.cfg.Output).CombinedOutput()
		if err != nil {
			w.Fatal(string(out))
		}
		w.check(os.Chmod(w.cfg.Output, 0o755))
		w.check(os.RemoveAll(away))
	}},
	{"a damaged cache", func(w *world, rnd *rand.Rand) {
		data := w.read(statcache.Name)
		if len(data) > 0 {
			data[rnd.IntN(len(data))] ^= 1 << rnd.IntN(8)
		}
		w.write(statcache.Name, data[:len(data)-rnd.IntN(2)*min(len(data), 7)])
	}},
	{"issued.pem is written", func(w *world, _ *rand.Rand) { w.write(ledger.IssuedName, w.read(ledger.IssuedName)) }},
}

func someKind(rnd *rand.Rand) plan.Kind { return facts.UserKinds[rnd.IntN(len(facts.UserKinds))] }

// each does something to a file of somebody, if it is there.
func (w *world) each(rnd *rand.Rand, do func(name string)) {
	u := w.cfg.Users[rnd.IntN(len(w.cfg.Users))]
	name := facts.UserPath(u.Name+"-m", someKind(rnd)).String()
	if info, err := os.Stat(w.path(name)); err == nil && info.Size() > 0 {
		do(name)
	}
}

// anew makes all files of somebody anew.
func (w *world) anew(rnd *rand.Rand, recorded bool) {
	u := w.cfg.Users[rnd.IntN(len(w.cfg.Users))]
	_ = os.Remove(w.path("secrets/" + u.Name + "-m.pass"))
	files, _, cert := w.files(&u)
	for name, data := range files {
		w.write(name, data)
		w.check(os.Chmod(w.path(name), 0o600))
	}
	if recorded {
		w.commit(ledger.Issue{Owner: string(plan.User(u.Name)), Cert: cert})
	}
}

func FuzzUnpack(f *testing.F) {
	u := &facts.User{P12: []facts.P12{{Info: pki.P12Info{Profile: pki.Modern, Encoding: "AES-256", Iterations: 1}}}}
	u.Crt.Cert = &facts.Certificate{Serial: "0A", Authority: "id", SANs: []pki.SAN{{Type: pki.SANEmail, Value: "ann@example.com"}}, NotAfter: now, NotBefore: now}
	k := keyRecord{contents: contents{typ: pki.ECDSAP256, spki: "ab"}, kind: config.FromFile, path: "/x", iterations: 3}
	f.Add(k.packed() + packUser(u))
	f.Add(packEntries([]ledger.Entry{{Owner: "user.ann", At: 3, Size: 4, Serial: "0A"}}))
	f.Fuzz(func(t *testing.T, packed string) {
		var have unpacked
		rec := &statcache.Record{Facts: packed}
		if have.unpack(rec, &config.User{P12: []pki.Profile{pki.Modern}}, "user.ann", "ann-m") == nil {
			k, _ := (&Reader{}).keyRecord(rec)
			var again unpacked
			if again.unpack(&statcache.Record{Facts: k.packed() + packUser(&have.User)}, &config.User{P12: []pki.Profile{pki.Modern}}, "user.ann", "ann-m") != nil {
				t.Error("what was read cannot be written")
			}
		}
		if list := unpackEntries(packed); list != nil && len(unpackEntries(packEntries(list))) != len(list) {
			t.Error("entries that were read cannot be written")
		}
	})
}
