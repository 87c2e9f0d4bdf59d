package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Who is measured.
const (
	productName = "mtlsplan"
	floorName   = "floor"
	provingName = "floor that opens what it made"
)

// scenario is one row: what is measured at one number of users.
type scenario struct {
	name  string
	users int
	run   func(l *lab, n int) ([]Series, []Check, error)
}

// scenarioOrder is the order of the rows in the tables. Each name has its
// sentence in docs/performance.md.
var scenarioOrder = []string{
	"start-up: version", "start-up: no-op",
	"fresh RSA", "fresh EC", "fresh EC, one core", "fresh EC, slow disk",
	"no-op apply", "no-op plan", "no-op apply, CSV", "no-op apply, CSV, no cache", "no-op apply, CSV, no digests",
	"one user added", "1 % revoked", "1 % renewed",
	"validate", "validate, a mistake",
	"crowded directory: no-op", "floor against FLOOR",
}

// sizes are the numbers of users that a benchmark runs.
type sizes struct {
	growth  []int // of the scenarios whose cost per user is compared
	rsa     int
	small   int // of what is measured once: one core, a slow disk, peers
	blocks  int // written out in one HCL file
	crowd   int // foreign files in the output directory
	compare int // users in the comparison of two floors
}

var (
	usual = sizes{growth: []int{1000, 10_000}, rsa: 100, small: 100, blocks: 100_000, crowd: 400_000, compare: 300}
	large = sizes{growth: []int{1000, 10_000, 100_000}, rsa: 100, small: 100, blocks: 100_000, crowd: 400_000, compare: 300}
	smoke = sizes{growth: []int{3, 12}, rsa: 1, small: 2, blocks: 20, crowd: 50, compare: 3}
)

// scenarios are all rows, in the order in which they must run: those that move
// a world's clock on come last for that world.
func scenarios(s sizes, l *lab) []scenario {
	list := []scenario{
		{"start-up: version", 0, startVersion},
		{"start-up: no-op", 1, startNoop},
		{"fresh RSA", s.rsa, freshRSA},
		{"fresh EC, one core", 10 * s.small, freshOneCore},
	}
	if os.Geteuid() == 0 && !l.smoke { // a mount takes the rights of root
		list = append(list, scenario{"fresh EC, slow disk", s.small, freshSlowDisk})
	}
	if l.floorBin != "" {
		list = append(list, scenario{"floor against FLOOR", s.compare, compareFloors})
	}
	for _, n := range s.growth {
		list = append(list,
			scenario{"fresh EC", n, freshEC},
			scenario{"no-op apply", n, noopApply},
			scenario{"no-op plan", n, noopPlan},
			scenario{"no-op apply, CSV", n, noopCSV},
			scenario{"no-op apply, CSV, no cache", n, noopNoCache},
			scenario{"no-op apply, CSV, no digests", n, noopNoDigests},
			scenario{"one user added", n, oneAdded},
			scenario{"1 % revoked", n, onePercentRevoked},
			scenario{"1 % renewed", n, onePercentRenewed},
			scenario{"validate", n, validateBlocks})
	}
	if !slices.Contains(s.growth, s.blocks) {
		list = append(list, scenario{"validate", s.blocks, validateBlocks})
	}
	return append(list,
		scenario{"validate, a mistake", s.blocks, validateMistake},
		scenario{"crowded directory: no-op", 10 * s.small, func(l *lab, n int) ([]Series, []Check, error) { return crowded(l, n, s.crowd) }})
}

func startVersion(l *lab, _ int) ([]Series, []Check, error) {
	all, err := l.turns(21, 21, func(int) ([]command, error) {
		return []command{{who: productName, argv: []string{l.mtlsplan, "version"}, dir: l.dir, says: "mtlsplan"}}, nil
	})
	return all, startChecks(all), err
}

func startNoop(l *lab, n int) ([]Series, []Check, error) {
	w, err := l.world(n)
	if err != nil {
		return nil, nil, err
	}
	all, err := l.turns(21, 21, func(int) ([]command, error) {
		return []command{l.apply(w.dir, blocksSpec, nothing)}, nil
	})
	return all, startChecks(all), err
}

func startChecks(all []Series) []Check {
	return withSeries(all, func(p *Series) []Check {
		return []Check{{"wall", 1000 * p.median(wallOf), 15, "ms"}}
	})
}

// withSeries calls f with mtlsplan's series; there is none after an error.
func withSeries(all []Series, f func(product *Series) []Check) []Check {
	if len(all) == 0 {
		return nil
	}
	return f(&all[0])
}

// freshPair is a new directory for each program, and both of their commands.
func freshPair(l *lab, n int, head, alg string, workers int) (*world, []command, error) {
	w, err := l.newWorld(n, head)
	if err != nil {
		return nil, nil, err
	}
	f := l.floor(w.floor, "fresh")
	f.argv = append(f.argv, "-alg", alg, "-workers", fmt.Sprint(workers))
	return w, []command{l.apply(w.dir, blocksSpec, applied), f}, nil
}

// checkRatio is mtlsplan's cost as a multiple of another's.
func checkRatio(what string, a, b *Series, of func(Sample) float64, limit float64) Check {
	return Check{what + " / " + b.Who, paired(a, b, of, ratio), limit, "×"}
}

func freshRSA(l *lab, n int) ([]Series, []Check, error) {
	loop, found := findPeer("openssl loop")
	all, err := l.turns(3, 5, func(int) ([]command, error) {
		_, commands, err := freshPair(l, n, rsaHead, "rsa", workers)
		if err != nil || !found {
			return commands, err
		}
		dir, err := l.fresh("openssl")
		return append(commands, loop.command("fresh", n, dir, "rsa")), err
	})
	return all, withSeries(all, func(p *Series) []Check {
		checks := []Check{checkRatio("wall", p, &all[1], wallOf, 1.10)}
		if found {
			checks = append(checks, checkRatio("CPU", p, &all[2], cpuOf, 0.32))
		}
		return checks
	}), err
}

// workers is how many users the floor makes at the same time: the cores that
// targets are given for.
const workers = 2

func freshEC(l *lab, n int) ([]Series, []Check, error) {
	// As a roster where the list of blocks alone would take all the memory.
	roster := n >= 100_000
	least := 3
	if roster {
		least = 1
	}
	var last *world
	all, err := l.turns(least, 9, func(int) ([]command, error) {
		w, commands, err := freshPair(l, n, ecHead, "ec", workers)
		if err == nil && roster {
			commands = []command{l.apply(w.dir, rosterSpec, applied), l.floor(w.floor, "fresh", "-list", rosterFile)}
		}
		if err != nil {
			return nil, err
		}
		last = w
		again, err := l.newWorld(n, ecHead)
		if err != nil {
			return nil, err
		}
		list := blocksSpec
		if roster {
			list = rosterFile
		}
		proving := l.floor(again.floor, "fresh", "-prove", "-list", list)
		proving.who = provingName
		return append(commands, proving), nil
	})
	if err != nil {
		return nil, nil, err
	}
	p := &all[0]
	if l.worlds[n] == nil {
		last.fresh = Sample{CPU: p.median(cpuOf), Wall: p.median(wallOf)}
		l.worlds[n] = last
	}
	checks := []Check{checkRatio("CPU", p, &all[1], cpuOf, 1.15), checkRatio("CPU", p, &all[2], cpuOf, 1.15)}
	if roster {
		return all, append(checks, Check{"memory", p.median(mibOf), 500, "MiB"}), nil
	}
	return all, append(checks, checkRatio("wall", p, &all[1], wallOf, 1.15), checkRatio("wall", p, &all[2], wallOf, 1.15)), nil
}

func freshOneCore(l *lab, n int) ([]Series, []Check, error) {
	all, err := l.turns(3, 5, func(int) ([]command, error) {
		_, commands, err := freshPair(l, n, ecHead, "ec", 1)
		for i := range commands {
			commands[i].env = []string{"GOMAXPROCS=1"}
		}
		return commands, err
	})
	return all, nil, err
}

// freshSlowDisk is a file system that writes everything at once.
func freshSlowDisk(l *lab, n int) ([]Series, []Check, error) {
	point, err := l.mountImage(filepath.Dir(l.mtlsplan), "slow", "1G", "loop,sync")
	if err != nil {
		return nil, nil, err
	}
	slow := *l
	slow.dir = point
	all, err := slow.turns(3, 5, func(int) ([]command, error) {
		_, commands, err := freshPair(&slow, n, ecHead, "ec", workers)
		return commands, err
	})
	return all, nil, err
}

// compareFloors shows that this floor costs what another one does.
func compareFloors(l *lab, n int) ([]Series, []Check, error) {
	all, err := l.turns(15, 41, func(int) ([]command, error) {
		a, err := l.newWorld(n, ecHead)
		if err != nil {
			return nil, err
		}
		b, err := l.newWorld(n, ecHead)
		if err != nil {
			return nil, err
		}
		ours, other := l.floorOf(l.ours, a.floor, "fresh"), l.floorOf(l.floorBin, b.floor, "fresh")
		other.who = "FLOOR"
		return []command{ours, other}, nil
	})
	return all, withSeries(all, func(p *Series) []Check {
		return []Check{checkRatio("CPU", p, &all[1], cpuOf, 1.03)}
	}), err
}

// validateFile writes n users as blocks. A mistake is in the last of them.
func validateFile(l *lab, n int, mistake bool) (string, error) {
	dir, err := l.fresh("validate")
	if err != nil {
		return "", err
	}
	w := &world{size: n, end: n}
	path := filepath.Join(dir, blocksSpec)
	if err := w.writeBlocks(path, ecHead); err != nil || !mistake {
		return path, err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return "", err
	}
	out := bufio.NewWriter(f)
	fmt.Fprint(out, "user \"late\" {\n  emial = \"late@example.com\"\n}\n")
	if err := out.Flush(); err != nil {
		return "", err
	}
	return path, f.Close()
}

func validateBlocks(l *lab, n int) ([]Series, []Check, error) {
	path, err := validateFile(l, n, false)
	if err != nil {
		return nil, nil, err
	}
	all, err := l.turns(3, 7, func(int) ([]command, error) {
		return []command{{who: productName, argv: []string{l.mtlsplan, "validate", path}, dir: l.dir, writes: filepath.Dir(path)}}, nil
	})
	return all, withSeries(all, func(p *Series) []Check { return validateChecks(p, n) }), err
}

func validateMistake(l *lab, n int) ([]Series, []Check, error) {
	path, err := validateFile(l, n, true)
	if err != nil {
		return nil, nil, err
	}
	all, err := l.turns(3, 7, func(int) ([]command, error) {
		return []command{{who: productName, argv: []string{l.mtlsplan, "validate", path}, dir: l.dir, code: 10, says: "emial"}}, nil
	})
	return all, withSeries(all, func(p *Series) []Check { return validateChecks(p, n) }), err
}

func validateChecks(p *Series, n int) []Check {
	if n < 100_000 {
		return nil
	}
	return []Check{{"CPU", p.median(cpuOf), 6, "s"}}
}

// crowded is a run with nothing to do among many files of somebody else, and
// the same without them.
func crowded(l *lab, n, files int) ([]Series, []Check, error) {
	alone, err := l.world(n)
	if err != nil {
		return nil, nil, err
	}
	among, err := l.newWorld(n, ecHead)
	if err != nil {
		return nil, nil, err
	}
	if _, _, err := l.measure(l.apply(among.dir, blocksSpec, applied)); err != nil {
		return nil, nil, err
	}
	for i := range files {
		if err := os.WriteFile(filepath.Join(among.dir, "pki", fmt.Sprintf("foreign%06d.txt", i)), nil, 0o644); err != nil {
			return nil, nil, err
		}
	}
	all, err := l.turns(3, 7, func(int) ([]command, error) {
		a, b := l.apply(among.dir, blocksSpec, nothing), l.noop(alone, blocksSpec)
		a.writes = "" // a walk would cost more than the run
		b.who = productName + ", files of its own alone"
		return []command{a, b}, nil
	})
	return all, nil, err
}

// id is the form in which -run matches scenarios: "NAME/USERS".
func (s scenario) id() string { return fmt.Sprintf("%s/%d", s.name, s.users) }
