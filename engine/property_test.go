package engine

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

// A plain run plays a few histories, always the same ones, so that a failure comes from the
// change and not from chance. RAPID_SEED=0 gives other histories, and RAPID_CHECKS=300 more of
// them.
const (
	defaultChecks = "15"
	defaultSeed   = "20261123"
)

// TestAnyHistory plays histories of edits, time, damage and runs, and checks the invariants
// after every run.
func TestAnyHistory(t *testing.T) {
	configure(t)
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(fastDir(), "mtlsplan-history-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		w := newWorld(t, dir)
		w.settle()
		t.Repeat(map[string]func(*rapid.T){
			"edit": w.acts(w.edit), "edit more": w.acts(w.edit), "edit much": w.acts(w.edit),
			"wait":   w.acts(w.wait),
			"damage": w.acts(w.damage), "damage more": w.acts(w.damage),
			"apply":   w.acts(w.ran),
			"only":    w.acts(w.only),
			"stop":    w.acts(w.interrupt),
			"replace": w.acts(w.replace),
			"restore": w.acts(w.restore),
			"backup":  w.acts(w.keepBackup),
			"wrong":   w.acts(w.wrongPassphrase),
			"cache":   w.acts(w.cache),
		})
		w.settle()
		w.checkWithOpenSSL()
	})
}

// configure sets rapid's limits, unless they were given.
func configure(t *testing.T) {
	said := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { said[f.Name] = true })
	for name, value := range map[string]string{"rapid.checks": defaultChecks, "rapid.seed": defaultSeed, "rapid.nofailfile": "true"} {
		variable := strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
		if os.Getenv(variable) != "" || said[name] {
			continue
		}
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
}

// fastDir is a directory in memory, "" where there is none.
func fastDir() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// acts runs an action with draws of its own.
func (w *world) acts(f func(*rapid.T)) func(*rapid.T) {
	return func(t *rapid.T) {
		w.t = t
		f(t)
	}
}

func (w *world) edit(t *rapid.T) {
	name := rapid.SampledFrom(slices.Sorted(maps.Keys(edits))).Draw(t, "edit")
	edits[name](t, &w.spec, &w.applied)
}

func (w *world) wait(t *rapid.T) {
	w.now = w.now.Add(rapid.SampledFrom(timeSteps).Draw(t, "time"))
}

func (w *world) ran(*rapid.T) { w.settle() }

// only runs for some owners: the files of the others stay as they are, unless they lose
// access.
func (w *world) only(t *rapid.T) {
	cfg := w.load()
	all := []plan.Owner{"ca.m", "crl.m", "nginx.m"}
	for _, u := range cfg.Users {
		all = append(all, plan.User(u.Name))
	}
	opt := w.options()
	opt.Only = rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, len(all), rapid.ID[plan.Owner]).Draw(t, "owners")
	r := w.apply(opt)
	touched := slices.Clone(opt.Only)
	for _, s := range r.report.Plan.Steps {
		switch { // whoever loses a certificate is out, and a revocation reaches the CRL and the site
		case s.Action == plan.Revoke || s.Action == plan.Retire:
			touched = append(touched, s.Owner, "crl.m", "nginx.m")
		case s.Owner == "crl.m" || s.Owner == "nginx.m":
			touched = append(touched, s.Owner)
		}
	}
	for _, name := range visible(changes(r.before, r.after)) {
		if owner, _ := w.ownerOf(cfg, name); owner != "" && !slices.Contains(touched, owner) && !slices.Contains(touched, w.nowCalled(string(owner))) {
			t.Fatalf("--only %v has changed %s", opt.Only, name)
		}
	}
	if refusals(r.report.Plan) != nil {
		return
	}
	for _, owner := range opt.Only {
		failed := slices.ContainsFunc(r.report.Failures, func(f plan.Failure) bool { return f.Owner == owner })
		switch name, isUser := strings.CutPrefix(string(owner), "user."); {
		case failed:
		case owner == "ca.m":
			w.applied.ca = w.spec.ca
		case isUser:
			name, _, _ = strings.Cut(name, plan.DeviceSign)
			if u := *w.spec.user(name); w.applied.user(name) != nil {
				w.applied.put(u)
			} else {
				w.applied.users = append(slices.Clone(w.applied.users), u)
			}
		}
	}
}

// stopper interrupts a run after some of its steps, as a signal does.
type stopper struct {
	quiet
	left int
	stop context.CancelFunc
}

func (s *stopper) Done([]plan.Step) {
	if s.left--; s.left <= 0 {
		s.stop()
	}
}

// interrupt interrupts a run. A certificate that is in place is recorded, and the next run
// does the rest.
func (w *world) interrupt(t *rapid.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	cfg, was := w.load(), w.records()
	_, err := Apply(ctx, cfg, w.options(), &stopper{left: rapid.IntRange(1, 4).Draw(t, "steps"), stop: stop})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	w.checkRecords(ran{cfg: cfg, opt: w.options()}, was)
	is := w.records()
	for _, u := range cfg.Users {
		name := facts.Base(u.Name, "m") + ".crt"
		data, err := os.ReadFile(w.out(name))
		block, _ := pem.Decode(data)
		if _, damaged := w.damaged[name]; err != nil || block == nil || damaged {
			continue
		}
		if !slices.ContainsFunc(is.issued, func(e ledger.Record) bool { return bytes.Equal(e.DER, block.Bytes) }) {
			t.Fatalf("the certificate of %s is in place, but not recorded", u.Name)
		}
	}
	w.settle()
}

// replace gives some users new keys; their old certificates are revoked for the reason.
func (w *world) replace(t *rapid.T) {
	w.settle()
	u := w.spec.someone(t)
	owner := plan.User(rapid.SampledFrom(u.owners()).Draw(t, "owner"))
	opt := w.options()
	opt.Replace = []plan.Owner{owner}
	opt.Reason = rapid.SampledFrom([]string{"superseded", "keyCompromise"}).Draw(t, "reason")
	before := w.records()
	r := w.apply(opt)
	if len(r.report.Failures) > 0 {
		if u.attributes["csr"] == "" {
			t.Fatalf("--replace fails: %v", r.report.Failures)
		}
		return
	}
	if u.attributes["revoked"] != "" {
		return
	}
	after := w.records()
	for _, row := range before.rows {
		if row.Owner != string(owner) || !w.lives(row) {
			continue
		}
		if now := after.row(row.Serial); now.State != ledger.Revoked || now.Reason != opt.Reason {
			t.Fatalf("after --replace %s --reason %s, %s is %c %s", owner, opt.Reason, now.Serial, now.State, now.Reason)
		}
	}
	if u.attributes["csr"] == "" && before.newest(string(owner)) != nil && after.newest(string(owner)) != nil &&
		string(before.newest(string(owner)).RawSubjectPublicKeyInfo) == string(after.newest(string(owner)).RawSubjectPublicKeyInfo) {
		t.Fatalf("--replace %s keeps the key", owner)
	}
}

// wrongPassphrase gives a wrong passphrase in a directory without pending steps: each owner
// that needs it fails, and no file changes.
func (w *world) wrongPassphrase(t *rapid.T) {
	w.settle()
	name := rapid.SampledFrom([]string{"ONE", "TWO", "CA1", "CA2"}).Draw(t, "variable")
	right := w.env[name]
	if delete(w.env, name); rapid.Bool().Draw(t, "set") {
		w.env[name] = "not-the-passphrase"
	}
	var want []plan.Owner
	if w.spec.ca.passphrase == env(name) {
		want = append(want, "ca.m", "crl.m")
	}
	for _, u := range w.spec.users {
		if u.passphrase == env(name) && u.attributes["csr"] == "" && u.attributes["revoked"] == "" {
			for _, owner := range u.owners() {
				want = append(want, plan.User(owner))
			}
		}
	}
	r := w.apply(w.options())
	w.env[name] = right
	var have []plan.Owner
	for _, f := range r.report.Failures {
		have = append(have, f.Owner)
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Fatalf("without the right %s the failures are %v, expected %v", name, have, want)
	}
	if diff := changes(r.before, r.after); len(diff) > 0 {
		t.Fatalf("without the right %s, %v has changed", name, diff)
	}
}

// requests are two requests for each user, who has the keys.
var requests = sync.OnceValue(func() map[string][]byte {
	out := map[string][]byte{}
	for _, name := range names {
		for _, n := range []string{"1", "2"} {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				panic(err)
			}
			der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "root"}}, key)
			if err != nil {
				panic(err)
			}
			out[name+n] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
		}
	}
	return out
})
