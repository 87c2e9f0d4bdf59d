package engine

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
)

// opensslCA stands for `openssl ca -revoke` beside a run: it reads index.txt at one
// moment and renames its own copy into place at a later one, without a lock.
type opensslCA struct {
	w      *world
	serial string
	rows   []ledger.Row
	read   bool
}

func (o *opensslCA) reads() {
	data, err := os.ReadFile(o.w.out("db/index.txt"))
	if err != nil {
		return // it fails, and has revoked nothing
	}
	rows, err := ledger.ParseIndex(data)
	if err != nil {
		return // a line is being written
	}
	i := slices.IndexFunc(rows, func(r ledger.Row) bool { return r.Serial == o.serial })
	if i < 0 || rows[i].State == ledger.Revoked {
		return
	}
	rows[i].State, rows[i].Revoked, rows[i].Reason = ledger.Revoked, o.w.now, ledger.KeyCompromise
	o.rows, o.read = rows, true
}

func (o *opensslCA) writes() {
	if !o.read {
		return
	}
	name := o.w.out("db/index.txt")
	o.w.check(os.WriteFile(name+".new", ledger.FormatIndex(o.rows), 0o644))
	o.w.check(os.Rename(name, name+".old"))
	o.w.check(os.Rename(name+".new", name))
}

// TestOthersWriteToo lets another program revoke a certificate at each change of a run,
// and between any two: it is revoked in the end, nothing of ours is lost, and no run is
// wedged.
func TestOthersWriteToo(t *testing.T) {
	for _, m := range scenes {
		if !slices.Contains([]string{"everything", "rollover", "renamed"}, m.name) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			s := newScene(t, m)
			serial, undisturbed := s.revocable(t)
			n := len(s.changes)
			var points []int
			for k := 1; k <= n; k++ {
				points = append(points, k)
			}
			t.Run("at once", func(t *testing.T) {
				eachOf(t, points, func(t testing.TB, k int) { s.beside(t, serial, undisturbed, k, k) })
			})
			t.Run("after a crash", func(t *testing.T) {
				eachOf(t, points, func(t testing.TB, k int) {
					w := s.open(t, fmt.Sprintf("killed at %d, then revoked", k))
					trace, _ := fault{}.at(w, k)
					if _, err := s.attempt(w, trace); err != errStopped {
						w.t.Fatal(err)
					}
					other := &opensslCA{w: w, serial: serial}
					other.reads()
					other.writes()
					s.after(w, other, undisturbed)
				})
			})
			t.Run("with an old copy", func(t *testing.T) {
				random := rand.New(rand.NewPCG(1, uint64(n)))
				last := map[int]int{}
				for _, k := range points {
					last[k] = k + random.IntN(n-k+1)
				}
				eachOf(t, points, func(t testing.TB, k int) { s.beside(t, serial, undisturbed, k, last[k]) })
			})
		})
	}
}

// TestOthersWriteAllTheTime: a run that never finds the database as it read it gives up
// after four plans, and leaves everything as it was.
func TestOthersWriteAllTheTime(t *testing.T) {
	s := newScene(t, scenes[0])
	w := s.open(t, "beside a program that writes all the time")
	plans := 0
	ctx := outdir.WithTrace(context.Background(), func(c outdir.Change, do func() error) error {
		if err := do(); err != nil || c.Do != "create" || !strings.HasSuffix(c.Name, "/journal.new") {
			return err
		}
		plans++
		name := w.out("db/index.txt")
		data, err := os.ReadFile(name)
		return errors.Join(err, os.WriteFile(name+".new", data, 0o600), os.Rename(name+".new", name))
	})
	before := w.records()
	_, err := Apply(ctx, w.load(), s.options(w), quiet{})
	if err == nil || !strings.Contains(err.Error(), "db/index.txt was changed by another program for the 4th time during this run: run again when it has ended") {
		t.Errorf("%v", err)
	}
	if plans != 4 {
		t.Errorf("%d plans", plans)
	}
	if after := w.records(); !reflect.DeepEqual(before.rows, after.rows) || len(before.issued) != len(after.issued) {
		t.Error("something was recorded")
	}
	s.after(w, &opensslCA{w: w}, nil)
}

// revocable is the serial of a certificate that an undisturbed run leaves valid, and
// what such a run makes of the rows of before.
func (s *scene) revocable(t testing.TB) (serial string, of []ledger.Row) {
	w := s.open(t, "undisturbed")
	_, err := Apply(context.Background(), w.load(), s.options(w), quiet{})
	w.check(err)
	of = slices.DeleteFunc(w.records().rows, func(r ledger.Row) bool {
		return !slices.ContainsFunc(s.was.rows, func(was ledger.Row) bool { return was.Serial == r.Serial })
	})
	for _, r := range slices.Backward(of) {
		if ledger.IsUser(r.Owner) && w.lives(r) {
			return r.Serial, of
		}
	}
	t.Fatal("no certificate outlives the run")
	return "", nil
}

// beside runs the scene while the other program reads before the change number from
// and writes before the change number to.
func (s *scene) beside(t testing.TB, serial string, undisturbed []ledger.Row, from, to int) {
	w := s.open(t, fmt.Sprintf("revoked between %d and %d", from, to))
	other := &opensslCA{w: w, serial: serial}
	var mu sync.Mutex
	k := 0
	ctx := outdir.WithTrace(context.Background(), func(c outdir.Change, do func() error) error {
		mu.Lock()
		defer mu.Unlock()
		if k++; k == from {
			other.reads()
		}
		if k == to {
			other.writes()
		}
		return do()
	})
	if _, err := Apply(ctx, w.load(), s.options(w), quiet{}); err != nil {
		w.t.Fatalf("the run beside: %v", err)
	}
	s.after(w, other, undisturbed)
}

// after is the run that follows, and what must have become of the directory.
func (s *scene) after(w *world, other *opensslCA, undisturbed []ledger.Row) {
	r, err := Apply(context.Background(), w.load(), s.options(w), quiet{})
	if err != nil || r.Plan.Refused() {
		w.t.Fatalf("the run after: %v %+v", err, r)
	}
	p, err := NewPlan(context.Background(), w.load(), s.options(w))
	if err != nil || !p.Empty() {
		w.t.Fatalf("the plan after: %v %+v", err, p)
	}
	is := w.records()
	row := func(serial string) *ledger.Row {
		i := slices.IndexFunc(is.rows, func(r ledger.Row) bool { return r.Serial == serial })
		if i < 0 {
			return nil
		}
		return &is.rows[i]
	}
	if r := row(other.serial); other.read && (r == nil || r.State != ledger.Revoked || r.Reason != ledger.KeyCompromise) {
		w.t.Fatalf("the revocation is lost: %+v", r)
	}
	for _, e := range is.issued {
		cert, err := x509.ParseCertificate(e.DER)
		w.check(err)
		if serial := pki.SerialHex(cert.SerialNumber); row(serial) == nil {
			w.t.Fatalf("no row for %s of %s", serial, e.Owner)
		}
	}
	for _, must := range undisturbed {
		if r := row(must.Serial); r == nil || must.State == ledger.Revoked && r.State != ledger.Revoked {
			w.t.Fatalf("%+v has become %+v", must, r)
		}
	}
	for _, r := range is.rows {
		listed := slices.ContainsFunc(slices.Collect(maps.Values(is.crls)), func(list *x509.RevocationList) bool {
			return slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return pki.SerialHex(e.SerialNumber) == r.Serial })
		})
		if r.State == ledger.Revoked && w.now.Before(r.NotAfter) && !listed {
			w.t.Fatalf("%+v is on no CRL", r)
		}
	}
}
