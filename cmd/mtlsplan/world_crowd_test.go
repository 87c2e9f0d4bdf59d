package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

func init() { scriptCommands["crowd"] = cmdCrowd }

// crowd SPEC PROCESSES ROUNDS [FLAG...] lets processes of the real program, built with these
// flags, work on one directory at once. In every round each applies SPEC with two users of
// its own, so that each removes the users that another has added. Readers run all the time.
func cmdCrowd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: crowd SPEC PROCESSES ROUNDS [FLAG...]")
	}
	head := ts.ReadFile(args[0])
	processes, err := strconv.Atoi(args[1])
	ts.Check(err)
	rounds, err := strconv.Atoi(args[2])
	ts.Check(err)
	c := &crowd{program: realProgram(ts, args[3:]...), work: memoryDir(ts), head: head}
	c.dir = filepath.Join(c.work, "out")
	ts.Check(c.spec(0, 0))
	if out, err := c.run("apply", 0); err != nil {
		ts.Fatalf("the first apply: %v\n%s", err, out)
	}
	stop := make(chan bool)
	var readers sync.WaitGroup
	for _, read := range [][]string{{"plan", "--format", "json"}, {"verify", "--format", "json"}, {"show", "ann"}, {"status", "--format", "json"}} {
		readers.Go(func() { c.look(stop, read) })
	}
	known := map[string]ledger.Row{}
	for r := 1; r <= rounds && c.failed() == nil; r++ {
		c.round(r, processes)
		c.fail(c.check(r, processes, known))
	}
	close(stop)
	readers.Wait()
	ts.Check(c.failed())
	fmt.Fprintf(ts.Stdout(), "%d applies, %d looks, %d certificates\n", rounds*processes, c.looks.Load(), len(known))
}

type crowd struct {
	program, work, dir, head string
	looks                    atomic.Int64
	mu                       sync.Mutex
	errs                     []error
}

func (c *crowd) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && len(c.errs) < 5 {
		c.errs = append(c.errs, err)
	}
}

func (c *crowd) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.errs...)
}

func (c *crowd) specFile(process int) string {
	return filepath.Join(c.work, fmt.Sprintf("%d.hcl", process))
}

// spec writes the spec of a process for a round: one new user of its own, and one who comes
// and goes.
func (c *crowd) spec(process, round int) error {
	text := c.head
	if round > 0 {
		text += fmt.Sprintf("user \"r%dp%d\" {\n}\n\nuser \"p%d\" {\n}\n", round, process, (process+round)%5)
	}
	file := c.specFile(process)
	return errors.Join(os.WriteFile(file+".new", []byte(text), 0o600), os.Rename(file+".new", file))
}

func (c *crowd) run(command string, process int, more ...string) ([]byte, error) {
	args := append([]string{command, c.specFile(process), "--output", c.dir}, more...)
	cmd := exec.Command(c.program, args...)
	cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || strings.Contains(stderr.String(), "DATA RACE") {
		err = fmt.Errorf("%s: %w: %s%s", command, err, stderr.String(), out)
	}
	return out, err
}

// unfinished is an error where verify reports a fault. The users of the others have
// departed for the spec that is looked with, and are not.
func (c *crowd) unfinished(document []byte) error {
	var doc plan.ChecksDocument
	if err := json.Unmarshal(document, &doc); err != nil {
		return err
	}
	for _, check := range doc.Checks {
		departed := check.Check == plan.DepartedGone && has("removed missing", string(check.Code))
		published := has("crl-entries site-current", check.Check) && has("revoked upstream", string(check.Code)) // what a plan would add for them
		if !check.OK && !departed && !published && check.Code != plan.Interrupted {
			return fmt.Errorf("%s %s %s: %s", check.Owner, check.Check, check.Code, check.Message)
		}
	}
	return nil
}

// round lets all processes apply at once.
func (c *crowd) round(r, processes int) {
	var wg sync.WaitGroup
	for p := 1; p <= processes; p++ {
		wg.Go(func() {
			c.fail(c.spec(p, r))
			if _, err := c.run("apply", p, "--lock-timeout", "60s"); err != nil {
				c.fail(fmt.Errorf("round %d: %w", r, err))
			}
		})
	}
	wg.Wait()
}

// check checks the directory between two rounds. known are the rows of the database so far.
func (c *crowd) check(round, processes int, known map[string]ledger.Row) error {
	if err := checkState(c.dir); err != nil {
		return fmt.Errorf("round %d: %w", round, err)
	}
	db, err := readRecord(c.dir) // it refuses a serial that occurs twice
	if err != nil {
		return err
	}
	for serial, was := range known {
		row, there := db.rows[serial]
		if !there || was.State == ledger.Revoked && row != was {
			return fmt.Errorf("round %d: the record of %s is lost", round, serial)
		}
	}
	if len(db.issued) != len(db.rows) {
		return fmt.Errorf("round %d: %d certificates and %d rows", round, len(db.issued), len(db.rows))
	}
	issued := map[string]bool{}
	for _, row := range db.rows {
		issued[row.Owner] = true
	}
	for p := 1; p <= processes; p++ {
		if owner := fmt.Sprintf("user.r%dp%d", round, p); !issued[owner] {
			return fmt.Errorf("round %d: process %d succeeded, but %s has no record", round, p, owner)
		}
	}
	maps.Copy(known, db.rows)
	return nil
}

// look reads beside the writers. It must never fail, and must not report as a fault the
// unfinished work of a live run.
func (c *crowd) look(stop chan bool, args []string) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		time.Sleep(30 * time.Millisecond) // leave most of the machine to the writers
		out, err := c.run(args[0], 0, args[1:]...)
		c.looks.Add(1)
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && args[0] == "verify" && exit.ExitCode() == exitPending {
			err = c.unfinished(out)
		}
		if err != nil {
			c.fail(fmt.Errorf("beside writers: %w", err))
			return
		}
		if args[0] != "plan" {
			continue
		}
		var doc struct {
			Steps []struct {
				Owner, Action string
				Reasons       []struct{ Code, Message string }
			}
		}
		if err := json.Unmarshal(out, &doc); err != nil {
			c.fail(err)
			return
		}
		for _, s := range doc.Steps {
			for _, r := range s.Reasons {
				if has("damaged key-mismatch unreadable unrecorded issuer-changed mode", r.Code) || s.Action == "refuse" || s.Owner == "ca.m" && r.Code != "interrupted" {
					c.fail(fmt.Errorf("a plan beside writers wants to %s %s: %s: %s", s.Action, s.Owner, r.Code, r.Message))
				}
			}
		}
	}
}
