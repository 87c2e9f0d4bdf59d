package engine

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/secret"
	"mtlsplan/spec"
)

// The benchmarks print ratios: the cost of an apply over that of the bare cryptography and
// durable writes for the same files, in one run on one machine.

func team(b testing.TB, n int) *spec.Config {
	var text strings.Builder
	text.WriteString(strings.Split(small, "user ")[0])
	for i := range n {
		fmt.Fprintf(&text, "user \"u%06d\" {\n  email = \"u%06d@mattermost.com\"\n}\n", i, i)
	}
	return load(b, text.String())
}

// cpu is the processor time of this process so far, in user and system mode.
func cpu() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

type cost struct{ cpu, wall time.Duration }

func measure(b *testing.B, f func()) cost {
	b.Helper()
	runtime.GC()
	c, w := cpu(), time.Now()
	f()
	return cost{cpu() - c, time.Since(w)}
}

func (c *cost) add(d cost) { c.cpu, c.wall = c.cpu+d.cpu, c.wall+d.wall }

// BenchmarkFreshApply is the whole work for new ECDSA users, from a loaded spec to durable
// files, compared with the bare work on the same number of cores.
func BenchmarkFreshApply(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			cfg := team(b, n)
			var apply, bare cost
			for b.Loop() {
				cfg.Output = filepath.Join(b.TempDir(), "out")
				apply.add(measure(b, func() {
					if _, err := Apply(context.Background(), cfg, Options{Now: time.Now(), LookupEnv: os.LookupEnv}, quiet{}); err != nil {
						b.Fatal(err)
					}
				}))
				dir := filepath.Join(b.TempDir(), "bare")
				bare.add(measure(b, func() { bareWork(b, cfg, dir) }))
			}
			b.ReportMetric(float64(apply.cpu)/float64(bare.cpu), "cpu/bare")
			b.ReportMetric(float64(apply.wall)/float64(bare.wall), "wall/bare")
			b.ReportMetric(float64(apply.cpu.Microseconds())/float64(b.N*n), "µs-cpu/user")
		})
	}
}

// bareWork makes the same keys, requests, certificates, .p12 and passphrase files with
// nothing else around, and makes them durable in one batch.
func bareWork(b *testing.B, cfg *spec.Config, path string) {
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	dir, err := outdir.Lock(context.Background(), path, "bare", 0, nil)
	must(err)
	defer dir.Close()
	caKey, err := cfg.CA.Key.Generate()
	must(err)
	now := time.Now()
	subject, err := cfg.CA.Subject.DER()
	must(err)
	caDER, err := pki.SignCA(pki.CARequest{Subject: subject, Serial: pki.NewSerial(), NotBefore: now, NotAfter: now.AddDate(10, 0, 0)}, caKey)
	must(err)
	ca, err := x509.ParseCertificate(caDER)
	must(err)
	batch := dir.Begin()
	files := make([][5][]byte, len(cfg.Users))
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for i := range cfg.Users {
		workers.Go(func() error {
			u := cfg.Users[i]
			pass := secret.Random()
			key, err := u.Key.Generate()
			must(err)
			dn, err := u.Subject.DER()
			must(err)
			encrypted, err := pki.EncryptKey(key, pki.NewKeys(pass), u.KDFIterations)
			must(err)
			csr, err := pki.MakeCSR(dn, u.SANs(), secret.Value{}, key)
			must(err)
			der, err := pki.SignUser(pki.UserRequest{Subject: dn, SANs: u.SANs(), Public: key.Public(), Serial: pki.NewSerial(),
				NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}, ca, caKey)
			must(err)
			cert, err := x509.ParseCertificate(der)
			must(err)
			p12, err := u.P12[0].Encode(key, cert, []*x509.Certificate{ca}, pki.NewKeys(pass), u.KDFIterations)
			must(err)
			files[i] = [5][]byte{[]byte(pass.Reveal() + "\n"), encrypted, pki.EncodeCSR(csr), pki.EncodeCertificate(der), p12}
			return nil
		})
	}
	must(workers.Wait())
	for i, u := range cfg.Users {
		for j, kind := range []string{plan.KindPass, plan.KindKey, plan.KindCSR, plan.KindCrt, plan.KindP12} {
			batch.Put(facts.UserPath(facts.Base(u.Name, cfg.CA.Name), kind).String(), files[i][j], facts.ModeOf(kind))
		}
	}
	must(batch.Commit())
}

// BenchmarkNoopPlan is a plan with nothing to do.
func BenchmarkNoopPlan(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			cfg := team(b, n)
			cfg.Output = filepath.Join(b.TempDir(), "out")
			opt := Options{Now: time.Now(), LookupEnv: os.LookupEnv}
			if _, err := Apply(context.Background(), cfg, opt, quiet{}); err != nil {
				b.Fatal(err)
			}
			start := cpu()
			for b.Loop() {
				p, err := NewPlan(context.Background(), cfg, opt)
				if err != nil || !p.Empty() {
					b.Fatal(err, p)
				}
			}
			b.ReportMetric(float64((cpu()-start).Microseconds())/float64(b.N*n), "µs-cpu/user")
		})
	}
}
