package main

import (
	"context"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test binary the floor program, too: the benchmark starts
// itself as that.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "ref" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestSmoke runs every scenario once with a few users. No time is judged.
func TestSmoke(t *testing.T) {
	out := filepath.Join(t.TempDir(), "results.json")
	if err := bench(context.Background(), []string{"-smoke", "-out", out}); err != nil {
		t.Fatal(err)
	}
	results, err := readResults(out)
	if err != nil {
		t.Fatal(err)
	}
	measured := map[string]bool{}
	for _, row := range results.Rows {
		measured[row.Scenario] = true
		if p := row.series(productName); p == nil || p.median(cpuOf) <= 0 || p.median(mibOf) <= 1 {
			t.Errorf("%s: %+v is no measurement", row.Scenario, row.Series)
		}
	}
	for _, name := range scenarioOrder {
		if !measured[name] && name != "fresh EC, slow disk" && name != "floor against FLOOR" {
			t.Errorf("%s was not run", name)
		}
	}
	if table := markdown(results); strings.Count(table, "\n| ") < len(results.Rows) {
		t.Errorf("rows are missing in:\n%s", table)
	}
}

// TestFloorLooks proves that the floor's run with nothing to do does look: a
// file that was touched, a user who is new and a lost file are seen.
func TestFloorLooks(t *testing.T) {
	dir := t.TempDir()
	w := &world{size: 3, end: 3, dir: t.TempDir(), floor: dir}
	run := func(scenario string) error {
		if err := w.write(ecHead); err != nil {
			t.Fatal(err)
		}
		return floor([]string{scenario, "-dir", dir, "-list", rosterFile})
	}
	for _, scenario := range []string{"fresh", "noop"} {
		if err := run(scenario); err != nil {
			t.Fatal(err)
		}
	}
	w.end++
	if err := run("noop"); err == nil || !strings.Contains(err.Error(), "1 users are missing") {
		t.Errorf("a new user: %v", err)
	}
	for _, scenario := range []string{"add", "noop"} {
		if err := run(scenario); err != nil {
			t.Fatal(err)
		}
	}
	for _, user := range []string{userName(0), userName(3)} {
		for _, kind := range floorKinds {
			if _, err := readPEM(filepath.Join(dir, "out", user+"."+kind)); err != nil && kind != "p12" {
				t.Error(err)
			}
		}
	}
	crt := filepath.Join(dir, "out", userName(1)+".crt")
	if err := os.Chtimes(crt, time.Now(), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := run("noop"); err == nil || !strings.Contains(err.Error(), "has changed") {
		t.Errorf("a touched file: %v", err)
	}
	if err := os.Remove(crt); err != nil {
		t.Fatal(err)
	}
	if err := run("noop"); !os.IsNotExist(err) {
		t.Errorf("a lost file: %v", err)
	}
}

// TestDocument holds the page and the picture against the kept results, and
// the page's text against the scenarios.
func TestDocument(t *testing.T) {
	const repo = "../.."
	files, err := document(repo)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		have, err := os.ReadFile(filepath.Join(repo, name))
		if err != nil || string(have) != want {
			t.Errorf("%s is not what its results give: run go run ./internal/bench -write . (%v)", name, err)
		}
	}
	text, _, _ := strings.Cut(files[documentName], tablesBegin)
	for _, name := range append(scenarioOrder, strings.TrimSpace(peerPrefix)) {
		if !strings.Contains(text, "`"+name) {
			t.Errorf("%s does not say what `%s` is", documentName, name)
		}
	}
}

func sampled(who string, cpu ...float64) Series {
	s := Series{Who: who, Written: -1}
	for _, c := range cpu {
		s.Samples = append(s.Samples, Sample{Wall: c, CPU: c, MiB: 10})
	}
	return s
}

func TestFigures(t *testing.T) {
	a, b := sampled("a", 2, 9, 4), sampled("b", 1, 3, 4)
	for _, c := range []struct {
		what       string
		have, want float64
	}{
		{"median of three", a.median(cpuOf), 4},
		{"median of two", median([]float64{1, 4}), 2.5},
		{"median of none", median(nil), 0},
		{"ratio in pairs", paired(&a, &b, cpuOf, ratio), 2},
		{"difference in pairs", paired(&a, &b, cpuOf, difference), 1},
		{"others", Row{Series: []Series{{Samples: []Sample{{Wall: 2, Others: 1}}}}}.others(), 0.5},
	} {
		if c.have != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.have, c.want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	r := Results{Rows: []Row{
		{Scenario: "fresh EC", Users: 1000, Date: "2026-11-23", Series: []Series{sampled(productName, 3)},
			Checks: []Check{{"CPU / floor", 1.15, 1.15, "×"}, {"wall / floor", 1.16, 1.15, "×"}}},
		{Scenario: "fresh EC", Users: 100_000, Date: "2026-11-24", Series: []Series{sampled(productName, 420)}},
		{Scenario: "no-op apply", Users: 1000, Date: "2026-11-24", Error: "it ended with 1\nand more"},
	}}
	table := markdown(r)
	for _, want := range []string{
		"| fresh EC | 1,000 | CPU / floor ≤ 1.15 × | 1.15 × | met | 1 |\n",
		"| fresh EC | 1,000 | wall / floor ≤ 1.15 × | 1.16 × | **missed** | 1 |\n",
		"| growth: fresh EC | 100,000 | CPU a user / that at 1,000 ≤ 1.30 × | 1.40 × | **missed** | |\n",
		"| fresh EC | 3.00 ms | 4.20 ms |\n",
		"| no-op apply | 1,000 | | | **failed**: it ended with 1 | |\n",
		"| fresh EC | 100,000 | mtlsplan | 420 s | 420 s | 4.20 ms | 10 MiB |  | 2026-11-24 |\n",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is missing in:\n%s", want, table)
		}
	}
}

func TestMerge(t *testing.T) {
	here, there := Machine{CPU: "here"}, Machine{CPU: "there"}
	old := Results{here, []Row{{Scenario: "fresh EC", Users: 1000, Date: "old"}, {Scenario: "no-op apply", Users: 1000, Date: "old"}}}
	rows := func(r Results) (s string) {
		for _, row := range r.Rows {
			s += row.Scenario + " " + count(row.Users) + " " + row.Date + "; "
		}
		return s
	}
	add := []Row{{Scenario: "fresh EC", Users: 10_000, Date: "new"}, {Scenario: "no-op apply", Users: 1000, Date: "new"}}
	if have, want := rows(merge(old, Results{here, add})), "fresh EC 1,000 old; fresh EC 10,000 new; no-op apply 1,000 new; "; have != want {
		t.Errorf("%s, want %s", have, want)
	}
	if have, want := rows(merge(old, Results{there, add[:1]})), "fresh EC 10,000 new; "; have != want {
		t.Errorf("of another machine: %s, want %s", have, want)
	}
}

// TestPlot proves that the picture is well-formed, that a cost ten times as
// high is drawn as much higher as one that is ten times as high again, and
// that no name covers another.
func TestPlot(t *testing.T) {
	var r Results
	for _, n := range []int{1000, 10_000} {
		for _, p := range plotted {
			if p.who == productName {
				r.Rows = append(r.Rows, Row{Scenario: p.scenario, Users: n, Date: "2026-11-23",
					Series: []Series{sampled(productName, float64(n)*0.003), sampled(floorName, float64(n)*0.0029)}})
			}
		}
	}
	decoder := xml.NewDecoder(strings.NewReader(plot(r)))
	for {
		if _, err := decoder.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	y := axis{low: -5, high: -2, from: plotBottom, to: plotTop}
	if a, b := y.at(1e-4)-y.at(1e-3), y.at(1e-3)-y.at(1e-2); a-b > 1e-6 || b-a > 1e-6 || a <= 0 {
		t.Errorf("the axis is not logarithmic: %v, %v", a, b)
	}
	for _, cost := range []float64{1e-5, 1e-2} {
		lines := make([]line, 12)
		for i := range lines {
			lines[i] = line{growth: growth{points: []point{{1000, cost}}}}
		}
		place(lines, y)
		for i, l := range lines {
			if l.labelY < plotTop || l.labelY > plotBottom || i > 0 && l.labelY-lines[i-1].labelY < labelGap-0.01 {
				t.Errorf("name %d at %v, the one before at %v", i, l.labelY, lines[max(i-1, 0)].labelY)
			}
		}
	}
}
