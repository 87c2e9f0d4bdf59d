package policy

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"mtlsplan/internal/plan"
)

func TestNothingToDo(t *testing.T) {
	w := newWorld(t, "ann", "bob")
	v := w.judge()
	w.want(v)
	if v.Plan.Unchanged != 5 || v.Found != nil || v.Clock != nil {
		t.Errorf("%d owners are unchanged, found %v, clock %v", v.Plan.Unchanged, v.Found, v.Clock)
	}
	if v.Trust.Current().Dependents != 2 {
		t.Errorf("%d users depend on the CA", v.Trust.Current().Dependents)
	}
}

// A user with nothing to do, whose files were not read anew, costs no allocation.
func TestUsersWithoutFindingsAllocateNothing(t *testing.T) {
	w := newWorld(t, "ann", "bob")
	for _, u := range w.people.list {
		u.Crt.Cert.X509 = nil
	}
	q := Question{Config: w.cfg, Have: w.have, Ledger: w.ledger, Now: w.now, Ask: Ask{Covers: everybody}}
	j := newJudgement(q, find(q))
	j.judgeCA()
	if n := testing.AllocsPerRun(100, j.judgeUsers); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func everybody(plan.Owner) bool { return true }

// A judgement is a function: it gives the same again and changes nothing.
func TestJudgeIsPure(t *testing.T) {
	w := newWorld(t, "ann", "bob", "cyd")
	w.have.CRL.Lists = nil
	w.putCRL(w.signCRL(7, "02"))
	w.people.list[1].Crt.Cert = nil
	w.depart(2)
	first := w.judge()
	if second := w.judge(); !reflect.DeepEqual(first.Plan, second.Plan) || !reflect.DeepEqual(first.Tasks, second.Tasks) {
		t.Errorf("first\n%s\nthen\n%s", text(first.Plan), text(second.Plan))
	}
	if len(w.ledger.Valid("user.ann", w.now)) != 1 {
		t.Error("the ledger has changed")
	}
}

// Decisions cannot reach a disk: no package of ours that this one reaches reads
// one, or a secret.
func TestImports(t *testing.T) {
	seen := map[string]bool{}
	var walk func(dir string)
	walk = func(dir string) {
		if seen[dir] {
			return
		}
		seen[dir] = true
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", dir, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range file.Imports {
				path, _ := strconv.Unquote(spec.Path.Value)
				switch path {
				case "os", "os/exec", "net", "mtlsplan/internal/outdir", "mtlsplan/internal/secret", "mtlsplan/spec", "mtlsplan/engine":
					t.Errorf("%s imports %s", name, path)
				}
				if ours, ok := strings.CutPrefix(path, "mtlsplan/"); ok {
					walk(ours)
				}
			}
		}
	}
	walk("internal/policy")
	for _, dir := range []string{"internal/facts", "internal/ledger", "internal/config", "internal/plan", "internal/pki", "render"} {
		if !seen[dir] {
			t.Errorf("%s is not reached: does this test still read imports?", dir)
		}
	}
}

// No file outgrows a reader.
func TestFilesAreSmall(t *testing.T) {
	files, _ := filepath.Glob("*.go")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(data), "\n"); n > 300 {
			t.Errorf("%s has %d lines", name, n)
		}
	}
}
