package main

import (
	"bufio"
	"fmt"
	"path/filepath"
	"time"
)

// A world is a directory with specs and rosters, mtlsplan's output in pki/, and
// the floor's directory. Its users are a window over user000000, user000001, …:
// people are added at its end and leave at its beginning.
type world struct {
	dir        string
	floor      string
	size       int // users at the beginning
	first, end int
	fresh      Sample    // what it took mtlsplan to make it
	settled    bool      // a run with nothing to do has been there
	now        time.Time // zero: the present
}

// The specs of a world: the same users as blocks and as a roster.
const (
	blocksSpec = "users.hcl"
	rosterSpec = "roster.hcl"
	rosterFile = "users.csv"
)

// One certificate of shortEvery is good for shortDays only, so that 1 % are due
// after renewDays and again after each further renewDays.
const (
	shortEvery = 100
	shortDays  = 35
	renewDays  = 30
)

// time is the world's now: the present until its clock is moved on.
func (w *world) time() time.Time {
	if w.now.IsZero() {
		return time.Now().UTC()
	}
	return w.now
}

// specHead is the same for all: the floor's algorithms, and a CRL that is not
// due while users are renewed.
func specHead(caKey, userKey string) string {
	return `ca "bench" {
  key = "` + caKey + `"

  subject {
    organization = "Bench"
    common_name  = "bench CA"
  }

  crl {
    validity = "3000d"
  }
}

defaults {
  key = "` + userKey + `"
  p12 = ["modern"]
}

`
}

// write writes the specs and the roster as they are now, for both programs.
func (w *world) write(head string) error {
	if err := w.writeBlocks(filepath.Join(w.dir, blocksSpec), head); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(w.dir, rosterSpec), func(f *bufio.Writer) {
		fmt.Fprintf(f, "%sroster \"all\" {\n  file = %q\n}\n", head, rosterFile)
	}); err != nil {
		return err
	}
	for _, dir := range []string{w.dir, w.floor} {
		if err := writeFile(filepath.Join(dir, rosterFile), func(f *bufio.Writer) {
			fmt.Fprintln(f, "name,email,validity")
			for i := w.first; i < w.end; i++ {
				fmt.Fprintf(f, "%s,%s@example.com,%s\n", userName(i), userName(i), w.validity(i))
			}
		}); err != nil {
			return err
		}
	}
	return w.writeBlocks(filepath.Join(w.floor, blocksSpec), head)
}

func (w *world) writeBlocks(path, head string) error {
	return writeFile(path, func(f *bufio.Writer) {
		f.WriteString(head)
		for i := w.first; i < w.end; i++ {
			fmt.Fprintf(f, "user %q {\n  email = \"%s@example.com\"\n", userName(i), userName(i))
			if v := w.validity(i); v != "" {
				fmt.Fprintf(f, "  validity = %q\n", v)
			}
			f.WriteString("}\n")
		}
	})
}

func userName(i int) string { return fmt.Sprintf("user%06d", i) }

// validity is what the spec says of a user's, "" for nothing. A world with few
// users has one with a short validity nevertheless, whoever has left.
func (w *world) validity(i int) string {
	if i%min(shortEvery, w.size) == 0 {
		return fmt.Sprintf("%dd", shortDays)
	}
	return ""
}

// newWorld makes the directories and specs of n users, and none of their files.
func (l *lab) newWorld(n int, head string) (*world, error) {
	w := &world{size: n, end: n}
	var err error
	if w.dir, err = l.fresh(fmt.Sprintf("world-%d", n)); err != nil {
		return nil, err
	}
	if w.floor, err = l.fresh(fmt.Sprintf("floor-%d", n)); err != nil {
		return nil, err
	}
	return w, w.write(head)
}

// world is the world of n elliptic-curve users, made now if no scenario has
// made it, in which nothing is left to do.
func (l *lab) world(n int) (*world, error) {
	w := l.worlds[n]
	if w == nil {
		var err error
		if w, err = l.newWorld(n, ecHead); err != nil {
			return nil, err
		}
		for _, c := range []command{
			l.apply(w.dir, rosterSpec, applied),
			l.floor(w.floor, "fresh", "-list", rosterFile),
		} {
			s, _, err := l.measure(c)
			if err != nil {
				return nil, err
			}
			if c.who == productName {
				w.fresh = s
			}
		}
		l.worlds[n] = w
	}
	if !w.settled {
		if _, _, err := l.measure(l.apply(w.dir, rosterSpec, nothing)); err != nil {
			return nil, err
		}
		w.settled = true
	}
	return w, nil
}

var ecHead, rsaHead = specHead("ecdsa-p256", "ecdsa-p256"), specHead("rsa-4096", "rsa-2048")

// What mtlsplan says at the end of an apply, and of a run without work.
const (
	applied = "Applied: "
	nothing = "Nothing to do: "
)
