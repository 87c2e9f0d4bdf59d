package bench

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A world is a directory in which one program works: a spec with the users as
// blocks, one with the same users as a roster, and the program's files. Its users
// are a window over user000000, user000001, …: users join at its end and depart at
// its beginning.
type world struct {
	program
	dir        string
	size       int // users at the beginning
	first, end int
	now        time.Time // zero: the present
}

const blocksSpec, rosterSpec, rosterFile = "users.hcl", "roster.hcl", "users.csv"

// One certificate of shortEvery is valid for shortDays only, so that 1 % are due
// after renewDays and again after each further renewDays.
const shortEvery, shortDays, renewDays = 100, 35, 30

// The output at the end of an apply, and of a run with nothing to do.
const applied, nothing = "Applied: ", "Nothing to do: "

// workers is the number of users that the floor makes at the same time: the number
// of cores for which the targets hold.
const workers = 2

// head begins every spec: the floor's algorithms, and a CRL that is not due while
// users are renewed.
func head(alg string) string {
	caKey, userKey := "ecdsa-p256", "ecdsa-p256"
	if alg == "rsa" {
		caKey, userKey = "rsa-4096", "rsa-2048"
	}
	return fmt.Sprintf(`ca "bench" {
  key = %q

  subject {
    organization = "Bench"
    common_name  = "bench CA"
  }

  crl {
    validity = "3000d"
  }
}

defaults {
  key = %q
  p12 = ["modern"]
}

`, caKey, userKey)
}

// write writes the specs and the roster as they are now. Another program does it:
// this one must stay small. Even among few users, one always has a short validity,
// whichever users have departed.
func (w *world) write(alg string) error {
	cmd := exec.Command("awk", `BEGIN {
	split(ARGV[1], n, " ")
	printf "%s", ARGV[2] >"users.hcl"
	printf "%sroster \"all\" {\n  file = \"users.csv\"\n}\n", ARGV[2] >"roster.hcl"
	print "name,email,validity" >"users.csv"
	for (i = n[1]; i < n[2]; i++) {
		user = sprintf("user%06d", i)
		days = i % n[3] ? "" : n[4] "d"
		printf "%s,%s@example.com,%s\n", user, user, days >"users.csv"
		printf "user \"%s\" {\n  email = \"%s@example.com\"\n%s}\n", user, user, days == "" ? "" : "  validity = \"" days "\"\n" >"users.hcl"
	}
}`, fmt.Sprint(w.first, w.end, min(shortEvery, w.size), shortDays), head(alg))
	cmd.Dir = w.dir
	return cmd.Run()
}

// newWorld makes the specs of n users, and none of their files.
func (l *lab) newWorld(p program, n int, alg string) *world {
	w := &world{program: p, size: n, end: n, dir: l.fresh(fmt.Sprintf("%s-%d", p.name, n))}
	l.check(w.write(alg))
	return w
}

// command is one of mtlsplan for a spec of the world.
func (w *world) command(verb, spec, says string, flags ...string) command {
	argv := append([]string{w.path, verb}, flags...)
	if !w.now.IsZero() {
		if w.rehearses() {
			argv = append(argv, "--rehearsal")
		}
		argv = append(argv, "--at", w.now.Format(time.RFC3339))
	}
	return command{prog: w.name, argv: append(argv, spec), dir: w.dir, says: says, writes: filepath.Join(w.dir, "pki")}
}

// floorCommand is one of the floor.
func (w *world) floorCommand(scenario, list string, flags ...string) command {
	argv := append([]string{w.path, scenario, "-dir", w.dir, "-list", list}, flags...)
	return command{prog: w.name, argv: argv, dir: w.dir, writes: w.dir}
}

// world is the world of a program and n elliptic-curve users, in which nothing is left
// to do. It is made for the first row that needs it.
func (l *lab) world(p program, n int) *world {
	key := fmt.Sprint(p.name, n)
	w := l.worlds[key]
	switch {
	case w != nil:
	case p == l.floor:
		w = l.newWorld(p, n, "ec")
		l.measure(w.floorCommand("fresh", rosterFile))
	default:
		w = l.newWorld(p, n, "ec")
		l.measure(w.command("apply", rosterSpec, applied))
		l.measure(w.command("apply", rosterSpec, nothing))
	}
	l.worlds[key] = w
	return w
}

// products are the worlds of mtlsplan and of the build that it is compared with.
func (l *lab) products(n int) (all []*world) {
	for _, p := range l.programs {
		all = append(all, l.world(p, n))
	}
	return all
}

// eachTurn makes one command for every product, and those of the floor.
func eachTurn(all []*world, ours func(*world) []command, floor ...func() command) func() []command {
	return func() (commands []command) {
		for _, w := range all {
			commands = append(commands, ours(w)...)
		}
		for _, f := range floor {
			if compared == "" {
				commands = append(commands, f())
			}
		}
		return commands
	}
}

// rows are in the order in which they must run: a row that advances the clock of a
// world comes last for that world. docs/performance.md describes each name.
var rows = []row{
	{"start-up: version", []int{0}, 0, func(l *lab, _ int) func() []command {
		return func() (all []command) {
			for _, p := range l.programs {
				all = append(all, command{prog: p.name, argv: []string{p.path, "version"}, dir: l.dir, says: "mtlsplan"})
			}
			return all
		}
	}},
	{"start-up: no-op", []int{1}, 0, func(l *lab, n int) func() []command {
		return eachTurn(l.products(n), func(w *world) []command { return []command{w.command("apply", blocksSpec, nothing)} })
	}},
	{"fresh RSA", []int{100}, 5, func(l *lab, n int) func() []command {
		return func() []command {
			all := l.freshWorlds(n, "rsa", workers)
			if c, ok := l.peer("openssl", "fresh", n, l.fresh("openssl"), "rsa"); ok {
				all = append(all, c)
			}
			return all
		}
	}},
	{"fresh EC, one core", []int{1000}, 5, func(l *lab, n int) func() []command {
		return func() []command {
			all := l.freshWorlds(n, "ec", 1)
			for i := range all {
				all[i].env = []string{"GOMAXPROCS=1"}
			}
			return all
		}
	}},
	{"fresh EC, slow disk", []int{100}, 5, func(l *lab, n int) func() []command {
		if _, measured := l.TB.(*testing.B); os.Geteuid() != 0 || !measured {
			l.Skip("it mounts a disk, which takes root, and is measured only")
		}
		slow := *l
		slow.dir = l.mountImage(l.TB, "slow", "1G", "loop,sync")
		return func() []command { return slow.freshWorlds(n, "ec", workers) }
	}},
	{"fresh EC", nil, 9, func(l *lab, n int) func() []command {
		return func() []command {
			all := l.freshWorlds(n, "ec", workers)
			if compared == "" {
				_, list := listOf(n)
				proving := l.newWorld(l.floor, n, "ec").floorCommand("fresh", list, "-prove")
				proving.prog = "floor that opens what it made"
				all = append(all, proving)
			}
			return all
		}
	}},
	{"no-op apply", nil, 0, noop("apply", blocksSpec, blocksSpec)},
	{"no-op plan", nil, 0, noop("plan", blocksSpec, blocksSpec)},
	{"no-op apply, CSV", nil, 0, noop("apply", rosterSpec, rosterFile)},
	{"no-op apply, CSV, restored", nil, 5, noopAfter(restore)},
	{"no-op apply, CSV, no cache", nil, 5, noopAfter(func(pki string) error { return os.Remove(filepath.Join(pki, "db/cache")) })},
	{"one user added", nil, 0, func(l *lab, n int) func() []command {
		floor := l.world(l.floor, n)
		return eachTurn(l.products(n), change(func(w *world) { w.end++ }), func() command {
			c := floor.floorCommand("add", rosterFile)
			c.before = func() error {
				floor.end++
				return floor.write("ec")
			}
			return c
		})
	}},
	// The CRL has an entry for ten users already.
	{"1 % revoked", nil, 5, func(l *lab, n int) func() []command {
		all := l.products(n)
		for _, w := range all {
			w.first, w.end = w.first+max(1, n/10), w.end+max(1, n/10)
			l.check(w.write("ec"))
			l.measure(w.command("apply", rosterSpec, applied, allow(n)))
			l.measure(w.command("apply", rosterSpec, nothing))
		}
		return eachTurn(all, change(func(w *world) { w.first += max(1, n/100) }, allow(n)))
	}},
	// A month passes in each turn.
	{"1 % renewed", nil, 5, func(l *lab, n int) func() []command {
		return eachTurn(l.products(n), change(func(w *world) { w.now = cmp.Or(w.now, time.Now().UTC()).AddDate(0, 0, renewDays) }))
	}},
	{"validate", nil, 7, validate(0, "", "")},
	{"validate, a mistake", []int{100_000}, 7, validate(10, "emial", "user \"late\" {\n  emial = \"late@example.com\"\n}\n")},
	{"crowded directory: no-op", []int{1000}, 7, func(l *lab, n int) func() []command {
		all := l.products(n)
		for _, w := range all {
			for i := range 400 * n {
				l.check(os.WriteFile(filepath.Join(w.dir, "pki", fmt.Sprintf("foreign%06d.txt", i)), nil, 0o644))
			}
		}
		return eachTurn(all, func(w *world) []command {
			c := w.command("apply", blocksSpec, nothing)
			c.writes = "" // a walk would cost more than the run
			return []command{c}
		})
	}},
}

func allow(n int) string { return fmt.Sprintf("--allow-revocations=%d", n) }

// listOf names the list of fresh users, for mtlsplan and for the floor: a roster where
// a list of blocks alone would take all the memory.
func listOf(n int) (spec, list string) {
	if n >= 100_000 {
		return rosterSpec, rosterFile
	}
	return blocksSpec, blocksSpec
}

// freshWorlds makes a new directory for each program, and returns their commands.
func (l *lab) freshWorlds(n int, alg string, workers int) (all []command) {
	spec, list := listOf(n)
	for _, p := range l.programs {
		all = append(all, l.newWorld(p, n, alg).command("apply", spec, applied))
	}
	if compared == "" {
		all = append(all, l.newWorld(l.floor, n, alg).floorCommand("fresh", list, "-alg", alg, "-workers", fmt.Sprint(workers)))
	}
	return all
}

// noop compares a run with nothing to do with the floor, which reads the users from
// list, and with the quickest peer, if it is installed.
func noop(verb, spec, list string) func(*lab, int) func() []command {
	return func(l *lab, n int) func() []command {
		floor := l.world(l.floor, n)
		commands := []func() command{func() command { return floor.floorCommand("noop", list) }}
		if c, ok := l.peer("certyaml", "fresh", n, "", "ec"); ok {
			if l.certyaml[n] == "" {
				l.certyaml[n] = l.fresh("certyaml")
				c.dir = l.certyaml[n]
				l.measure(c)
			}
			commands = append(commands, func() command {
				c, _ := l.peer("certyaml", "noop", n, l.certyaml[n], "ec")
				return c
			})
		}
		return eachTurn(l.products(n), func(w *world) []command { return []command{w.command(verb, spec, nothing)} }, commands...)
	}
}

// noopAfter is a run with nothing to do after a change of the output directory.
func noopAfter(do func(pki string) error) func(*lab, int) func() []command {
	return func(l *lab, n int) func() []command {
		return eachTurn(l.products(n), func(w *world) []command {
			c := w.command("apply", rosterSpec, nothing)
			c.before = func() error { return do(filepath.Join(w.dir, "pki")) }
			return []command{c}
		})
	}
}

// restore copies all files of a directory into a new one, as from a backup: each then
// has another change time, and the directory another inode.
func restore(pki string) error {
	if err := os.Rename(pki, pki+".backup"); err != nil {
		return err
	}
	return errors.Join(exec.Command("cp", "-a", pki+".backup", pki).Run(), os.RemoveAll(pki+".backup"))
}

// change measures a change of the list of users, and a run with nothing to do
// just before it.
func change(edit func(*world), flags ...string) func(*world) []command {
	return func(w *world) []command {
		before := w.command("apply", rosterSpec, nothing)
		before.prog += ", nothing to do"
		edit(w)
		after := w.command("apply", rosterSpec, applied, flags...)
		after.before = func() error { return w.write("ec") }
		return []command{before, after}
	}
}

// validate reads a spec with n users as blocks and more text after them.
func validate(code int, says, more string) func(*lab, int) func() []command {
	return func(l *lab, n int) func() []command {
		path := filepath.Join(l.newWorld(program{name: "validate"}, n, "ec").dir, blocksSpec)
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		l.check(err)
		_, err = f.WriteString(more)
		l.check(errors.Join(err, f.Close()))
		return func() (all []command) {
			for _, p := range l.programs {
				all = append(all, command{prog: p.name, argv: []string{p.path, "validate", path}, dir: l.dir, code: code, says: says})
			}
			return all
		}
	}
}
