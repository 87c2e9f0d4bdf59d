package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocument compares the page and the picture with the kept results.
func TestDocument(t *testing.T) {
	const docs = "../../../docs"
	text, err := os.ReadFile(filepath.Join(docs, "performance.txt"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := read(text, "performance.txt")
	if err != nil {
		t.Fatal(err)
	}
	page, _ := os.ReadFile(filepath.Join(docs, "performance.md"))
	files, err := document(string(page), all)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if have, err := os.ReadFile(filepath.Join(docs, name)); err != nil || !bytes.Equal(have, want) {
			t.Errorf("docs/%s does not match its results: go run ./internal/bench/record docs (%v)", name, err)
		}
	}
}

func results(t *testing.T, machine string, lines ...string) []cell {
	t.Helper()
	all, err := read([]byte("machine: "+machine+"\nBenchmarkProcess/"+strings.Join(lines, "\nBenchmarkProcess/")+"\n"), "x")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestVerdicts(t *testing.T) {
	all := results(t, "here",
		"run=fresh_EC/users=1000/prog=mtlsplan-2 1 3000000000 cpu-ns/op", "run=fresh_EC/users=1000/prog=mtlsplan-2 1 9000000000 cpu-ns/op",
		"run=fresh_EC/users=1000/prog=floor-2 1 2000000000 cpu-ns/op", "run=fresh_EC/users=1000/prog=floor-2 1 9000000000 cpu-ns/op",
		"run=fresh_EC/users=100000/prog=mtlsplan-2 1 420000000000 cpu-ns/op 99999744 rss-B")
	table := tables(all)
	if _, err := plotted(all[:1]); err != nil { // one row makes no line
		t.Error(err)
	}
	for _, want := range []string{
		"| fresh EC | 1,000 | CPU / floor ≤ 1.15 × | 1.25 × | **missed** | 2 |\n",
		"| fresh EC | 100,000 | memory ≤ 500.0MiB | 95.37MiB | met | 1 |\n",
		"| fresh EC | 100,000 | CPU a user / that at 1,000 ≤ 1.30 × | 0.70 × | met | 1 |\n",
		"| fresh EC | 1,000 | floor | 0.000s | 5.500s | 5.500ms |",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is missing from:\n%s", want, table)
		}
	}
}

func TestGates(t *testing.T) {
	all, err := read([]byte(`machine: here
nginx: 1.22.1
BenchmarkGate/run=request/prog=smallest_site-2 1 40000 ns/op 25000 worker-ns/op
BenchmarkGate/run=request/prog=smallest_site-2 1 40000 ns/op 50000 worker-ns/op
BenchmarkGate/run=request/prog=mtlsplan,_two_headers-2 1 40000 ns/op 50000 worker-ns/op
BenchmarkGate/run=request/prog=mtlsplan,_two_headers-2 1 40000 ns/op 60000 worker-ns/op
BenchmarkGate/run=request/prog=mtlsplan,_two_headers,_10000_revoked-2 1 40000 ns/op 51000 worker-ns/op
BenchmarkGate/run=request/prog=mtlsplan,_two_headers,_10000_revoked-2 1 40000 ns/op 63000 worker-ns/op
`), "x")
	if err != nil {
		t.Fatal(err)
	}
	table := tables(all)
	for _, want := range []string{
		"NGINX 1.22.1, with one worker: here",
		"| request | smallest site | 37.50µs |  |  |  |  | 2 |",
		"| request | mtlsplan, two headers | 55.00µs | smallest site | 1.60 × | ≤ 1.80 × | met | 2 |",
		"| request | mtlsplan, two headers, 10000 revoked | 57.00µs | mtlsplan, two headers | 1.04 × | ≤ 1.03 × | **missed** | 2 |",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is missing from:\n%s", want, table)
		}
	}
	// Gates that were measured elsewhere leave the table of processes alone.
	if processes := results(t, "elsewhere", "run=a/users=1/prog=p 1 1 ns/op"); len(merge(processes, all)) != len(all)+1 {
		t.Error("the results of processes are lost")
	}
}

func TestMerge(t *testing.T) {
	old := results(t, "here", "run=a/users=1/prog=p 1 1 ns/op", "run=b/users=1/prog=p 1 1 ns/op")
	added := func(machine string) string {
		var said string
		for _, c := range merge(old, results(t, machine, "run=a/users=2/prog=p 1 2 ns/op", "run=b/users=1/prog=p 1 2 ns/op")) {
			said += fmt.Sprintf("%s %d %.0f; ", c.run, c.users, 1e9*c.values(wall)[0])
		}
		return said
	}
	if have, want := added("here"), "a 1 1; a 2 2; b 1 2; "; have != want {
		t.Errorf("have %q, want %q", have, want)
	}
	if have, want := added("elsewhere"), "a 2 2; b 1 2; "; have != want {
		t.Errorf("of another machine: have %q, want %q", have, want)
	}
}
