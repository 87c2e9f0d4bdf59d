package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"software.sslmate.com/src/go-pkcs12"
)

func init() { scriptCommands["years"] = cmdYears }

// month is the time between two runs.
const month = 730 * time.Hour

// cmdYears implements "years SPEC TIMELINE": plays the years of a team, a run a month, the
// last of them today. The spec has the CA and the sites. The timeline lists the events, a
// line for each: MONTH EVENT [NAME...]. The events are join, leave, lose (a laptop), reissue
// (which must happen by itself), rollover, skip (no run) and proxy.
//
// After every month openssl verify must let in every user who may come in, and nobody else,
// and a second run must have nothing to do. In a month with proxy a real NGINX must agree,
// before and after the run. NGINX goes by the real clock, so each of those months is played
// as the last one of a team of its own, which has the same past.
func cmdYears(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: years SPEC TIMELINE")
	}
	timeline := readTimeline(ts, ts.ReadFile(args[1]))
	today := time.Now().UTC().Truncate(time.Second)
	last := slices.Max(slices.Collect(maps.Keys(timeline)))
	proxy := &yearsProxy{ts: ts}
	for number := range last + 1 {
		if timeline[number]["proxy"] == nil || number == last {
			continue
		}
		t := newTeam(ts, ts.ReadFile(args[0]), timeline, today.Add(-time.Duration(number)*month))
		for m := range number {
			t.live(m)
		}
		proxy.agrees(t, number)
	}
	t := newTeam(ts, ts.ReadFile(args[0]), timeline, today.Add(-time.Duration(last)*month))
	for m := range last {
		t.live(m)
		t.check(m)
	}
	proxy.agrees(t, last)
	t.check(last)
	fmt.Fprintf(ts.Stdout(), "%d certificates of users, %d revoked; %d of the CA, of %d keys\n",
		len(t.certs), len(slices.DeleteFunc(slices.Clone(t.certs), func(c *client) bool { return !c.revoked })), len(t.cas), len(t.keys))
}

// readTimeline reads the names of every event by month.
func readTimeline(ts *testscript.TestScript, text string) map[int]map[string][]string {
	out := map[int]map[string][]string{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		m, err := strconv.Atoi(words[0])
		ts.Check(err)
		if out[m] == nil {
			out[m] = map[string][]string{}
		}
		out[m][words[1]] = words[2:]
		if len(words) == 2 {
			out[m][words[1]] = []string{""}
		}
	}
	return out
}

// client is a certificate as its user has imported it.
type client struct {
	file    string // of the certificate
	owner   string
	cert    *x509.Certificate
	key     any
	revoked bool
}

// team is an output directory with its past.
type team struct {
	ts         *testscript.TestScript
	dir, spec  string // its directory, and the text before the users
	timeline   map[int]map[string][]string
	begin      time.Time
	generation int
	users      []string
	certs      []*client       // every certificate that a user ever had
	cas        []string        // every certificate of the CA, DER
	keys       map[string]bool // every key of the CA
}

func newTeam(ts *testscript.TestScript, spec string, timeline map[int]map[string][]string, begin time.Time) *team {
	dir, err := os.MkdirTemp(ts.Getenv("WORK"), "team-")
	ts.Check(err)
	return &team{ts: ts, dir: dir, spec: spec, timeline: timeline, begin: begin, generation: 1, keys: map[string]bool{}}
}

func (t *team) at(m int) time.Time { return t.begin.Add(time.Duration(m) * month) }

func (t *team) out(name string) string { return filepath.Join(t.dir, "pki", name) }

// run runs mtlsplan with this month as now.
func (t *team) run(m int, args ...string) string {
	var out, talk bytes.Buffer
	args = append(args, filepath.Join(t.dir, "team.hcl"), "--rehearsal", "--at", t.at(m).Format(time.RFC3339))
	code := run(context.Background(), args, process{strings.NewReader(""), &out, &talk, os.LookupEnv, time.Now, time.Time{}})
	if code != exitDone {
		t.ts.Fatalf("month %d: mtlsplan %q: exit %d\n%s%s", m, args, code, &out, &talk)
	}
	return out.String()
}

// live is one month: the events, and then the run from cron.
func (t *team) live(m int) {
	events := t.timeline[m]
	if events["skip"] != nil {
		return
	}
	if events["rollover"] != nil {
		t.generation++
	}
	t.users = append(t.users, events["join"]...)
	t.users = slices.DeleteFunc(t.users, func(u string) bool { return slices.Contains(events["leave"], u) })
	text := strings.Replace(t.spec, "generation = 1\n", fmt.Sprintf("generation = %d\n", t.generation), 1)
	for _, u := range t.users {
		text += fmt.Sprintf("\nuser %q {\n  email = \"%s@mattermost.com\"\n}\n", u, u)
	}
	t.ts.Check(os.WriteFile(filepath.Join(t.dir, "team.hcl"), []byte(text), 0o600))
	args := []string{"apply"}
	for _, u := range events["lose"] {
		args = append(args, "--replace", "user."+u, "--reason", "keyCompromise")
	}
	t.run(m, args...)
	for _, c := range t.certs {
		c.revoked = c.revoked || slices.Contains(events["leave"], c.owner) || slices.Contains(events["lose"], c.owner)
	}
	t.receive(m)
	reissued := t.takeCA()
	if expected := m == 0 || events["reissue"] != nil || events["rollover"] != nil; reissued != expected {
		t.ts.Fatalf("month %d: a new certificate of the CA: %v, want %v", m, reissued, expected)
	}
}

// receive gives users their new files.
func (t *team) receive(m int) {
	for _, u := range t.users {
		file := t.out(u + "-team.crt")
		text, err := os.ReadFile(file)
		t.ts.Check(err)
		block, _ := pem.Decode(text)
		if slices.ContainsFunc(t.certs, func(c *client) bool { return bytes.Equal(c.cert.Raw, block.Bytes) }) {
			continue
		}
		p12, err := os.ReadFile(t.out(u + "-team.p12"))
		t.ts.Check(err)
		pass, err := os.ReadFile(t.out("secrets/" + u + "-team.pass"))
		t.ts.Check(err)
		key, cert, _, err := pkcs12.DecodeChain(p12, strings.TrimSpace(string(pass)))
		t.ts.Check(err)
		if !bytes.Equal(cert.Raw, block.Bytes) {
			t.ts.Fatalf("month %d: %s has another certificate in the .p12 than beside it", m, u)
		}
		copied := filepath.Join(t.dir, fmt.Sprintf("%s.%d.crt", u, m))
		t.ts.Check(os.WriteFile(copied, text, 0o600))
		t.certs = append(t.certs, &client{file: copied, owner: u, cert: cert, key: key})
	}
}

// takeCA reports whether the CA has a new certificate.
func (t *team) takeCA() bool {
	text, err := os.ReadFile(t.out("ca.team.crt"))
	t.ts.Check(err)
	block, _ := pem.Decode(text)
	ca, err := x509.ParseCertificate(block.Bytes)
	t.ts.Check(err)
	if slices.Contains(t.cas, string(ca.Raw)) {
		return false
	}
	t.cas = append(t.cas, string(ca.Raw))
	t.keys[string(ca.RawSubjectPublicKeyInfo)] = true
	return true
}

// check asks OpenSSL who may come in, and mtlsplan for further steps.
func (t *team) check(m int) {
	now := t.at(m)
	var good, bad []string
	has := map[string]bool{}
	for _, c := range t.certs {
		switch {
		case !c.revoked && now.Before(c.cert.NotAfter):
			good = append(good, c.file)
			has[c.owner] = true
		case now.Before(c.cert.NotAfter.Add(6 * month)):
			bad = append(bad, c.file)
		}
	}
	for _, u := range t.users {
		if !has[u] {
			t.ts.Fatalf("month %d: %s has no valid certificate", m, u)
		}
	}
	args := []string{"verify", "-x509_strict", "-crl_check", "-purpose", "sslclient", "-attime", fmt.Sprint(now.Unix()), "-CAfile", t.out("ca.team.crt"), "-CRLfile", t.out("ca.team.crl")}
	said, err := exec.Command("openssl", append(args, good...)...).CombinedOutput()
	if err != nil || bytes.Count(said, []byte(": OK\n")) != len(good) {
		t.ts.Fatalf("month %d: OpenSSL does not let everybody in: %v\n%s", m, err, said)
	}
	if len(bad) > 0 {
		said, _ := exec.Command("openssl", append(args, bad...)...).CombinedOutput()
		if bytes.Count(said, []byte(": verification failed\n")) != len(bad) {
			t.ts.Fatalf("month %d: OpenSSL lets a departed user in:\n%s", m, said)
		}
	}
	if t.timeline[m]["skip"] != nil {
		return
	}
	before := t.snapshot()
	if said := t.run(m, "apply"); !strings.HasPrefix(said, "Nothing to do") || t.snapshot() != before {
		t.ts.Fatalf("month %d: the second run found something to do:\n%s", m, said)
	}
}

func (t *team) snapshot() string {
	name := filepath.Join(t.dir, "snapshot")
	cmdSnapshot(t.ts, false, []string{t.out(""), name})
	text, err := os.ReadFile(name)
	t.ts.Check(err)
	return string(text)
}
