package engine

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"software.sslmate.com/src/go-pkcs12"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/seal"
	"mtlsplan/internal/secret"
)

// inspect checks a directory after the end of a run, in whatever way it ended: the files, and
// a plan for them.
func (s *scene) inspect(w *world) tree {
	w.t.Helper()
	raw := readTree(w.t.(*pointT).TB, w.out(""))
	s.checkTogether(w, raw)
	if s.adopt {
		s.checkKept(w, raw)
	}
	for name, n := range raw {
		if strings.HasSuffix(name, ".crt") && !strings.HasPrefix(name, "db/") {
			s.checkRecorded(w, raw, name, n)
		}
	}
	planned, err := NewPlan(context.Background(), w.load(), s.options(w))
	w.check(err)
	if planned.Refused() || len(planned.Failures) > 0 {
		w.t.Fatalf("the next plan has a refusal or a failure: %+v", planned)
	}
	for _, step := range planned.Steps {
		for _, r := range step.Reasons {
			if reason := fmt.Sprint(step.Owner, " ", r.Code); r.Code != plan.Interrupted && !s.reasons[reason] && !s.reasons["ca.m missing"] {
				w.t.Fatalf("the next plan says %s: %s", reason, r.Message)
			}
		}
	}
	return raw
}

// checkRecorded is I1: a visible certificate is in the database. A certificate from before the
// scene that no run has adopted yet does not count.
func (s *scene) checkRecorded(w *world, raw tree, name string, n node) {
	w.t.Helper()
	for block, rest := pem.Decode([]byte(n.data)); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		w.check(err)
		text := string(pem.EncodeToMemory(block))
		row := "\t" + pki.SerialHex(cert.SerialNumber) + "\t"
		if strings.Contains(raw["db/issued.pem"].data, text) && (strings.Contains(raw["db/index.txt"].data, row) || name == "ca.m.crt" && s.above()) {
			continue
		}
		if !s.adopt || s.start["pki/"+name].data != n.data {
			w.t.Fatalf("%s holds %s, which is not recorded", name, pki.SerialHex(cert.SerialNumber))
		}
	}
}

// identities remembers the keys in files, most of which occur many times.
var identities sync.Map // by the SHA-256 of the file: the identity

type identity struct {
	public, cert string // the SPKI; the certificate of a .p12
	pass         string // that opens it
}

func identify(data string, passes []string) identity {
	id := sha256.Sum256([]byte(data))
	if known, ok := identities.Load(id); ok && slices.Contains(passes, known.(identity).pass) {
		return known.(identity)
	}
	found := open(data, passes)
	if found.public != "" {
		identities.Store(id, found)
	}
	return found
}

// open is identify of passphrases that have to be the right ones.
func open(data string, passes []string) (found identity) {
	for _, pass := range passes {
		if found.public != "" || pass == "" {
			continue
		}
		if key, err := pki.OpenKey([]byte(data), secret.New([]byte(pass))); err == nil {
			found = identity{public: pki.PublicID(key.Public()), pass: pass}
		} else if _, cert, _, err := pkcs12.DecodeChain([]byte(data), pass); err == nil {
			found = identity{pki.PublicID(cert.PublicKey), base64.StdEncoding.EncodeToString(cert.Raw), pass}
		}
	}
	return found
}

// identityOne opens what is sealed to recipientOne, and identityTwo to recipientTwo. They are
// of tests alone, and runs have the first.
const (
	identityOne  = "AGE-SECRET-KEY-139J7T050L93GEP0YJGM7VMKDU5L0P6A45RLT94K5777VTP2XG22SA87FSE"
	recipientOne = "age1vllx2qngavungxuzwsudvxy86h9c2wwgzpvyycfpxhf0r5qr7qnsrqgyf5"
	identityTwo  = "AGE-SECRET-KEY-1RTVF3U6APPPC6FG9KA4PUWAZ2JYHC64A6ECKRY647XQATY6DWMES4LC9SN"
	recipientTwo = "age1e0xwkyxpfxc0wq8wset5d0v3nlns34cd4atp2868uh6qk88urs4qt58ec8"
)

// unsealed is the passphrase in a file, sealed or not.
func unsealed(data string) string {
	if !strings.HasPrefix(data, "-----BEGIN AGE") {
		return strings.TrimSuffix(data, "\n")
	}
	id, err := seal.ParseIdentity(secret.New([]byte(identityOne + "\n" + identityTwo)))
	if err != nil {
		return err.Error()
	}
	pass, err := id.Open([]byte(data))
	if err != nil {
		return err.Error()
	}
	return pass.Reveal()
}

// checkTogether is I5: the files of a user belong together.
func (s *scene) checkTogether(w *world, raw tree) {
	w.t.Helper()
	var others []string // after a power cut, what is in secrets/ may be older or newer than the keys
	for from, dir := range map[string]tree{"secrets/": raw, "pki/secrets/": s.start} {
		for name, n := range dir {
			if w.apart && strings.HasPrefix(name, from) && n.mode.IsRegular() {
				others = append(others, unsealed(n.data))
			}
		}
	}
	passes := func(base string) []string {
		file := "secrets/" + base + ".pass"
		return append([]string{w.env["ONE"], unsealed(raw[file].data), unsealed(raw[file+".age"].data)}, others...)
	}
	keys := map[string]string{}
	for name, n := range raw {
		base, isKey := strings.CutSuffix(name, ".key")
		if !isKey || strings.HasPrefix(name, "db/") || base == "ca.m" {
			continue
		}
		if keys[base] = identify(n.data, passes(base)).public; keys[base] == "" && !s.adopt {
			w.t.Fatalf("%s does not open with the passphrase in place", name)
		}
	}
	for name, n := range raw {
		base, isCert := strings.CutSuffix(name, ".crt")
		if !isCert || strings.HasPrefix(name, "db/") {
			continue
		}
		block, _ := pem.Decode([]byte(n.data))
		if block == nil {
			w.t.Fatalf("%s is not whole: %q", name, n.data)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		w.check(err)
		if key, ok := keys[base]; ok && key != pki.PublicID(cert.PublicKey) {
			w.t.Fatalf("%s.key does not belong to %s", base, name)
		}
		for _, ext := range []string{".p12", ".modern.p12", ".compat.p12"} {
			if p, ok := raw[base+ext]; ok && identify(p.data, passes(base)).cert != base64.StdEncoding.EncodeToString(cert.Raw) {
				w.t.Fatalf("%s holds another certificate than %s", base+ext, name)
			}
		}
	}
}

// checkKept: every key that was there can still be opened, with a passphrase that is in
// place.
func (s *scene) checkKept(w *world, raw tree) {
	w.t.Helper()
	passes := []string{w.env["ONE"]}
	for name, n := range raw {
		if strings.HasPrefix(name, "secrets/") && n.mode.IsRegular() {
			passes = append(passes, strings.TrimSuffix(n.data, "\n"))
		}
	}
	keys := func(from tree, prefix string) (out []string) {
		for name, n := range from {
			if strings.HasPrefix(name, prefix) && n.mode.IsRegular() && (strings.HasSuffix(name, ".key") || strings.HasSuffix(name, ".p12")) {
				if id := open(n.data, passes); id.public != "" {
					out = append(out, id.public)
				}
			}
		}
		return out
	}
	opened := keys(raw, "")
	for _, was := range keys(s.start, "pki/") {
		if !slices.Contains(opened, was) {
			w.t.Fatalf("a key that was there can be opened no more")
		}
	}
}

// namesUsers reports whether the scene's site names users, or their certificates.
func (s *scene) namesUsers() bool {
	return strings.Contains(fmt.Sprint(s.world.spec.site), "headers") || s.above()
}

// above reports whether another CA has signed that of the scene.
func (s *scene) above() bool {
	return s.adopt && strings.Count(s.start["pki/ca.m.crt"].data, "BEGIN CERTIFICATE") > 1
}

// checksumLine is one of those with which a site marks what it refuses itself.
var checksumLine = regexp.MustCompile(`^    4\d\d: [0-9a-f]{16};\n$`)

// between reports whether a file is a whole one on the way from one to another: each of
// its lines stands in one of them, and all lines that the two have in common in it. A
// checksum of the whole is another in each.
func between(data, old, next string) bool {
	lines := func(s string) map[string]bool {
		set := map[string]bool{}
		for line := range strings.Lines(s) {
			if !checksumLine.MatchString(line) {
				set[line] = true
			}
		}
		return set
	}
	have, was, becomes := lines(data), lines(old), lines(next)
	for line := range have {
		if !was[line] && !becomes[line] {
			return false
		}
	}
	for line := range becomes {
		if was[line] && !have[line] {
			return false
		}
	}
	return true
}

// renamed reports whether a file is one from before the scene, of a user who has another
// name by now.
func (s *scene) renamed(n node) bool {
	for _, m := range s.world.spec.moved {
		for name, old := range s.start {
			if strings.HasPrefix(strings.TrimPrefix(name, "pki/"), m.from+"-m.") && old.data == n.data {
				return true
			}
		}
	}
	return false
}

// mend runs twice more without a fault. The result must be that of an undisturbed run.
func (s *scene) mend(w *world, raw tree) tree {
	w.t.Helper()
	opt := s.options(w)
	report, err := Apply(context.Background(), w.load(), opt, quiet{})
	if err != nil || len(report.Failures) > 0 || report.Plan.Refused() {
		w.t.Fatalf("the next run: %v %+v", err, report)
	}
	mended := readTree(w.t.(*pointT).TB, w.out(""))
	for name, n := range raw { // I3: every visible file was whole, the old one or the new one
		old, kept := s.start["pki/"+name], mended[name]
		if name == "nginx/m" && s.namesUsers() && between(n.data, old.data, kept.data) {
			continue // it is written with the revocations first, and again with the new certificates
		}
		if n.mode.IsRegular() && !strings.HasPrefix(name, "db/") && n.data != kept.data && n.data != old.data && !s.renamed(n) {
			w.t.Fatalf("%s was neither the old file nor that of the next run: %d bytes, %d and %d", name, len(n.data), len(old.data), len(kept.data))
		}
	}
	r := ran{cfg: w.load(), opt: opt, report: report, after: w.snapshot()}
	w.checkRecords(r, s.was)
	w.checkAll(r)
	w.checkRepeat(r)
	// I2: recorded certificates were put into place, and not issued again.
	if issued := s.newOwners(w); !slices.Equal(issued, s.issued) {
		w.t.Fatalf("certificates were issued for %v, and an undisturbed run issues for %v", issued, s.issued)
	}
	if shape := s.shapeOf(w); shape != s.shape {
		w.t.Fatalf("the next run gives\n%s\nan undisturbed one gives\n%s", shape, s.shape)
	}
	for name := range mended {
		if strings.HasPrefix(name, "db/stage/") {
			w.t.Fatalf("%s was not removed", name)
		}
	}
	return mended
}

// checkDone compares a report with the directory: the files of a step that it reports done
// are in their final state.
func (s *scene) checkDone(w *world, report *Report, raw, mended tree) {
	w.t.Helper()
	if report == nil {
		return
	}
	done := map[plan.Owner][]string{}
	for _, step := range report.Done {
		done[step.Owner] = step.Artefacts
	}
	cfg := w.load()
	for name, n := range mended {
		owner, kind := w.ownerOf(cfg, name)
		if !slices.Contains(done[owner], kind) || kind == plan.KindDB {
			continue
		}
		if name == "nginx/m" && s.namesUsers() {
			continue // its step is done with the revocations; that it follows the new certificates is owed
		}
		if raw[name] != n {
			w.t.Fatalf("%s was reported done, but %s is not in its final state", owner, name)
		}
	}
	for _, step := range report.Done {
		if step.NotAfter == nil || step.Owner == "crl.m" || !slices.Contains(step.Artefacts, plan.KindCrt) {
			continue
		}
		entries, _, err := ledger.ParseRecords([]byte(raw["db/issued.pem"].data))
		w.check(err)
		if !slices.ContainsFunc(entries[min(len(entries), len(s.was.issued)):], func(e ledger.Record) bool { return e.Owner == string(step.Owner) }) {
			w.t.Fatalf("%s was reported done but is not recorded", step.Owner)
		}
	}
}
