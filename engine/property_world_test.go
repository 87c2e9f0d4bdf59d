package engine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
	"mtlsplan/spec"
)

// world is a directory with its spec, a clock, and knowledge of the past.
type world struct {
	t       rapid.TB
	dir     string
	now     time.Time
	spec    specModel
	applied specModel // the spec of the last run
	env     map[string]string

	damaged map[string]original // files that were damaged since the last clean run
	old     map[string][][]byte // earlier contents of files
	backup  map[string]original // an older copy of db/
	memory  memory
	runs    int

	kept []byte // an earlier content of the cache

	apart bool // the power was cut: changes of two directories have reached the disk in any order
}

// original is the file at a path before its damage, and the kind of the damage.
type original struct {
	data []byte
	mode fs.FileMode
	now  file
}

func newWorld(t *rapid.T, dir string) *world {
	w := &world{
		t: t, dir: dir, now: time.Date(2031, 5, 6, 7, 8, 9, 500_000_000, time.UTC), spec: firstSpec(), applied: firstSpec(),
		env:     map[string]string{"CHALLENGE1": "open-sesame", "CHALLENGE2": "shibboleth"},
		damaged: map[string]original{}, old: map[string][][]byte{}, memory: newMemory(),
	}
	for _, name := range []string{"ONE", "TWO", "CA1", "CA2"} {
		w.env[name] = "the-secret-of-" + name
	}
	for _, name := range names {
		for _, n := range []string{"1", "2"} {
			w.write(filepath.Join(dir, name+"."+n+".csr"), requests()[name+n], 0o600)
		}
	}
	return w
}

func (w *world) out(name string) string { return filepath.Join(w.dir, "pki", filepath.FromSlash(name)) }

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(path string, data []byte, mode fs.FileMode) {
	w.t.Helper()
	w.check(os.MkdirAll(filepath.Dir(path), 0o755))
	w.check(os.WriteFile(path, data, mode))
	w.check(os.Chmod(path, mode))
}

func (w *world) load() *spec.Config {
	w.t.Helper()
	file := filepath.Join(w.dir, "mtlsplan.hcl")
	w.write(file, []byte(w.spec.hcl()), 0o600)
	cfg, _, diags := spec.Load(context.Background(), file, "")
	if diags.HasErrors() {
		w.t.Fatalf("%v\n%s", diags, w.spec.hcl())
	}
	return cfg
}

func (w *world) lookup(name string) (string, bool) { s, ok := w.env[name]; return s, ok }

func (w *world) options() Options { return Options{Now: w.now, LookupEnv: w.lookup} }

// file is one file of a snapshot.
type file struct {
	mode  fs.FileMode
	mtime int64
	sum   [32]byte
}

// snapshot is everything below the output directory except the lock and files that only save
// time.
func (w *world) snapshot() map[string]file {
	out := map[string]file{}
	root := w.out("")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		info, err := d.Info()
		if err != nil || name == "db/lock" || spares(name) {
			return err
		}
		f := file{mode: info.Mode()}
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			f.mtime, f.sum = info.ModTime().UnixNano(), sha256.Sum256(data)
		}
		out[filepath.ToSlash(name)] = f
		return nil
	})
	if !os.IsNotExist(err) {
		w.check(err)
	}
	return out
}

// changes are the names that differ. Of directories it lists only those outside db/ that were
// made or removed or have another mode.
func changes(before, after map[string]file) []string {
	var out []string
	for name, f := range after {
		if b, ok := before[name]; !ok || b != f {
			out = append(out, name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// run is one apply, with the checks for every apply.
type ran struct {
	cfg    *spec.Config
	opt    Options
	report *Report
	before map[string]file
	after  map[string]file
}

func (w *world) apply(opt Options) ran {
	w.t.Helper()
	r := ran{cfg: w.load(), opt: opt, before: w.snapshot()}
	ctx := context.Background()
	var planned *plan.Plan
	if w.runs++; w.runs%4 == 0 { // not always: it costs as much as a run
		var err error
		planned, err = NewPlan(ctx, r.cfg, opt)
		w.check(err)
		w.checkWithoutCache(r.cfg, opt, w.text(planned))
		if len(opt.Only) == 0 && len(opt.Replace) == 0 && opt.Allow == 0 {
			w.checkGlance(r.cfg, planned)
		}
		if diff := changes(r.before, w.snapshot()); len(diff) > 0 {
			w.t.Fatalf("plan has changed %v", diff)
		}
	}
	was := w.records()
	had := slices.DeleteFunc(slices.Clone(was.rows), func(row ledger.Row) bool { return !w.lives(row) })
	var err error
	r.report, err = Apply(ctx, r.cfg, opt, quiet{})
	if r.report != nil {
		w.t.Logf("%s: %s", w.now.Format(time.DateTime), summary(r.report))
	}
	w.check(err)
	if have := w.text(r.report.Plan); planned != nil && have != w.text(planned) {
		w.t.Fatalf("plan says\n%s\nand apply\n%s", w.text(planned), have)
	}
	r.after = w.snapshot()
	if r.report.Plan.Refused() {
		if diff := visible(changes(r.before, r.after)); len(diff) > 0 {
			w.t.Fatalf("a refused run has changed %v", diff)
		}
		return r
	}
	w.checkEffects(r)
	w.checkRecords(r, was)
	w.checkSaid(r, had)
	w.checkRepeat(r)
	return r
}

// checkSaid: nobody loses access without a step that says so, by the name that they have now.
func (w *world) checkSaid(r ran, had []ledger.Row) {
	w.t.Helper()
	is := w.records()
	for _, row := range had {
		if row.State == is.row(row.Serial).State {
			continue
		}
		said := slices.ContainsFunc(r.report.Plan.Steps, func(s plan.Step) bool {
			return slices.ContainsFunc(row.Owners(), func(owner string) bool { return s.Owner == w.nowCalled(owner) }) && s.Revokes > 0
		})
		if !said {
			w.t.Fatalf("%s of %s was revoked, and no step says so: %s", row.Serial, row.Owner, summary(r.report))
		}
	}
}

// visible leaves out the directory and the lock that a first run makes.
func visible(names []string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return n == "." || n == "db" })
}

// text is a plan as JSON, which must not hold a secret.
func (w *world) text(p *plan.Plan) string {
	data, err := json.Marshal(plan.NewPlanDocument(p))
	w.check(err)
	secrets := map[string]string{}
	for name, value := range w.env {
		secrets[value] = "the variable " + name
	}
	passes, _ := filepath.Glob(w.out("secrets/*.pass"))
	for _, name := range passes {
		if data, err := os.ReadFile(name); err == nil && len(data) > 1 {
			secrets[strings.TrimSpace(string(data))] = name
		}
	}
	for value, where := range secrets {
		if strings.Contains(string(data), value) {
			w.t.Fatalf("the plan holds the secret of %s: %s", where, data)
		}
	}
	return string(data)
}

func summary(r *Report) string {
	var b strings.Builder
	for _, s := range r.Plan.Steps {
		fmt.Fprintf(&b, " %s %s", s.Owner, s.Action)
		for _, reason := range s.Reasons {
			fmt.Fprintf(&b, " %s", reason.Code)
		}
		b.WriteString(";")
	}
	for _, f := range r.Failures {
		fmt.Fprintf(&b, " %s fails: %s;", f.Owner, f.Message)
	}
	return b.String()
}

// settle applies the spec until a run has no failure and no refusal. An obstacle must be a
// damage by this test, and is undone.
func (w *world) settle() {
	w.t.Helper()
	for range 8 {
		opt := w.options()
		r := w.apply(opt)
		if refusal := refusals(r.report.Plan); refusal != nil {
			w.relent(r, *refusal)
			continue
		}
		if len(r.report.Failures) == 0 {
			w.checkAll(r)
			w.checkVerified(r)
			if w.runs%3 == 0 {
				w.checkForetold(r)
			}
			for name := range w.damaged {
				if info, err := os.Lstat(w.out(name)); err == nil && !info.Mode().IsRegular() {
					w.check(os.RemoveAll(w.out(name))) // in the place of a departed user's file
				}
			}
			w.spec.moved = nil // what is done is taken out
			w.applied, w.damaged = w.spec, map[string]original{}
			return
		}
		for _, f := range r.report.Failures {
			w.excuse(r, f)
		}
		w.undo()
	}
	w.t.Fatal("the directory does not settle")
}

// checkVerified: of what an apply leaves every check of verify holds, whatever was there
// before. A CRL of ours that somebody has put back does its work, and apply leaves it.
func (w *world) checkVerified(r ran) {
	w.t.Helper()
	checks, err := Verify(context.Background(), r.cfg, w.options())
	w.check(err)
	bad := slices.DeleteFunc(wrong(checks), func(c plan.Check) bool { return c.Check == plan.CRLNumber })
	if len(bad) > 0 {
		w.t.Fatalf("not verified: %+v", bad)
	}
}

func refusals(p *plan.Plan) *plan.Step {
	for i := range p.Steps {
		if p.Steps[i].Action == plan.Refuse {
			return &p.Steps[i]
		}
	}
	return nil
}

// relent removes the reason of a refusal, if the refusal is right.
func (w *world) relent(r ran, s plan.Step) {
	w.t.Helper()
	reason := s.Reasons[0]
	switch {
	case s.Owner == "ca.m" && reason.Code == plan.Removed:
		lost := w.wouldLose(r.cfg)
		if lost <= guardLimit(r.cfg, r.opt, len(w.active(w.records()))) {
			w.t.Fatalf("the guard refuses a run in which %d users lose access: %s", lost, reason.Message)
		}
		opt := w.options()
		opt.Allow = lost
		if again := w.apply(opt); refusals(again.report.Plan) != nil && refusals(again.report.Plan).Reasons[0].Code == plan.Removed {
			w.t.Fatalf("the guard refuses although %d are allowed", lost)
		}
	case s.Owner == "ca.m" && reason.Code == plan.Expired:
		if end := w.records().newest("ca.m").NotAfter; !w.now.After(end) {
			w.t.Fatalf("the CA ends on %s and was refused on %s", end, w.now)
		}
		w.spec.ca.generation = w.generations() + 1
	case reason.Code == plan.Unrecorded && len(w.damaged) > 0:
		w.undo()
	default:
		w.t.Fatalf("refused: %+v", s)
	}
}

// excuse accepts an owner's failure that follows from damage, or from a key that must not be
// used again.
func (w *world) excuse(r ran, f plan.Failure) {
	w.t.Helper()
	name, isUser := strings.CutPrefix(string(f.Owner), "user.")
	if u := w.spec.user(name); isUser && u != nil && u.attributes["csr"] != "" && (f.Code == plan.KeyCompromised || strings.Contains(f.Message, "give a request with a new key")) {
		if !w.burnt(requestKey(u.attributes["csr"])) {
			w.t.Fatalf("%s: %s, but nothing was revoked for that key", f.Owner, f.Message)
		}
		changed := *u
		changed.attributes = set(u.attributes, "csr", "")
		w.spec.put(changed)
		return
	}
	for damaged := range w.damaged {
		if owner, _ := w.ownerOf(r.cfg, damaged); w.nowCalled(string(owner)) == f.Owner || owner == f.Owner || owner == "ca.m" {
			return
		}
	}
	w.t.Fatalf("%s fails without a reason: %s", f.Owner, f.Message)
}

// undo repairs damage that is still there.
func (w *world) undo() {
	now := w.snapshot()
	for name, o := range w.damaged {
		if _, there := now[name]; !there {
			// Its owner has another name, and the damage has gone along.
			owner, kind := w.ownerOf(w.load(), name)
			if user, ok := w.nowCalled(string(owner)).UserName(); ok && kind != "" {
				name = facts.UserPath(facts.Base(user, "m"), kind).String()
			}
			if now[name].sum != o.now.sum {
				continue
			}
		} else if now[name] != o.now {
			continue
		}
		w.check(os.RemoveAll(w.out(name)))
		w.write(w.out(name), o.data, o.mode)
	}
	w.damaged = map[string]original{}
}
