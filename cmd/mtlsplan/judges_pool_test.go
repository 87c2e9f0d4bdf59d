package main

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mtlsplan/internal/testing/sample"
)

// exhibit is one artefact for the judges. Its files are in the pool.
type exhibit struct {
	kind string // "chain" (a certificate), "crl", "p12", "key", "csr"
	file string
	ca   string    // of a chain and a CRL: the certificate of the CA
	crl  string    // of a chain: the CA's CRL, "" if no CRL is valid at the same time
	pass string    // of a .p12 and a key: the passphrase, a line
	cert string    // of a .p12, a key and a request: the certificate
	at   time.Time // of a chain and a CRL
	want string    // "good" or "revoked"

	algorithms string // of a chain and a .p12: of the keys in it, "ECDSA Ed25519"
	adopted    bool   // of a chain: the certificate of its CA was made by hand
}

// docket is everything that was found in the directories of all scripts.
type docket struct {
	pool string // directory

	sync.Mutex
	exhibits map[exhibit]string // to the place where it was found first
	counts   map[string]int     // of judged and exempted artefacts
	scripts  int
}

func newDocket(t *testing.T) *docket {
	return &docket{pool: t.TempDir(), exhibits: map[exhibit]string{}, counts: map[string]int{}}
}

// keep puts content into the pool, the same content once.
func (d *docket) keep(content []byte) string {
	name := filepath.Join(d.pool, fmt.Sprintf("%x", sha256.Sum256(content)))
	if _, err := os.Lstat(name); err == nil {
		return name
	}
	// Scripts run side by side: write the whole file or none.
	temporary, err := os.CreateTemp(d.pool, "new")
	if err == nil {
		_, err = temporary.Write(content)
		temporary.Close()
	}
	if err == nil {
		err = os.Rename(temporary.Name(), name)
	}
	if err != nil {
		panic(err) // the test's own directory
	}
	return name
}

func (d *docket) count(what string, n int) {
	d.Lock()
	defer d.Unlock()
	d.counts[what] += n
}

func (d *docket) add(where string, e exhibit) {
	d.Lock()
	defer d.Unlock()
	if d.exhibits[e] == "" {
		d.exhibits[e] = where
	}
}

// least are the numbers of exhibits when all scripts run. Fewer mean that some are no longer
// found, which is a failure.
var least = map[string]int{
	"directories":            135,
	"CA certificates":        135,
	"user certificates":      500,
	"CRLs":                   130,
	"requests":               300,
	"PKCS #12 files":         300,
	"chain asked of OpenSSL": 300,
	"chain asked of GnuTLS":  300,
	"chain asked of NSS":     300,
	"chain asked of Java":    300,
	"chain asked of pyca":    300,
	"crl asked of OpenSSL":   130,
	"crl asked of GnuTLS":    130,
	"crl asked of Java":      130,
	"crl asked of pyca":      130,
	"p12 asked of OpenSSL":   150,
	"p12 asked of GnuTLS":    150,
	"p12 asked of NSS":       140,
	"p12 asked of Java":      150,
	"p12 asked of pyca":      150,
	"key asked of pyca":      150,
	"csr asked of pyca":      150,
}

// different has, of the exhibits of one script that do not differ in what the judges look at,
// one; MTLSPLAN_TESTS=all has them look at each.
func (d *docket) different(all []exhibit) []exhibit {
	if sample.All {
		return all
	}
	all = slices.Clone(all)
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(e exhibit) bool {
		script, _, _ := strings.Cut(d.exhibits[e], "/")
		kind := fmt.Sprint(script, " ", e.kind, e.want, e.algorithms, e.adopted, e.crl != "")
		again := seen[kind]
		seen[kind] = true
		return again
	})
}

// judge asks all judges, at the same time.
func (d *docket) judge(t *testing.T, all int) {
	exhibits := d.different(slices.Collect(maps.Keys(d.exhibits)))
	var asked sync.WaitGroup
	for _, j := range panel {
		asked.Go(func() {
			start := time.Now()
			heard, complaints := j.judge(d.pool, exhibits)
			for kind, n := range heard {
				d.count(kind+" asked of "+j.name, n)
			}
			for e, complaint := range complaints {
				t.Errorf("%s: %s says of the %s: %s (want %s)", d.exhibits[e], j.name, e.kind, complaint, e.want)
			}
			t.Logf("%s: %.1f s", j.name, time.Since(start).Seconds())
		})
	}
	asked.Wait()
	for _, what := range slices.Sorted(maps.Keys(d.counts)) {
		t.Logf("%5d %s", d.counts[what], what)
	}
	if d.scripts < all {
		return // -run left some out, or they failed
	}
	for what, n := range least {
		if d.counts[what] < n {
			t.Errorf("%d %s were judged, expected at least %d: some are no longer found", d.counts[what], what, n)
		}
	}
}
