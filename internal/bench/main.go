// Command bench measures mtlsplan as whole processes: what it costs against the
// floor, a program of its own that does the same work with nothing around it,
// and against other programs that do the job. docs/performance.md says what
// each scenario is and how to repeat it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

func main() {
	var err error
	if len(os.Args) > 1 && os.Args[1] == "ref" {
		err = floor(os.Args[2:])
	} else {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = bench(ctx, os.Args[1:])
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	large, smoke, peers bool
	only                *regexp.Regexp
	out                 string
	record, write       string
}

func parseFlags(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&o.large, "large", false, "also measure 100,000 users: an hour, and 15 GiB of disk")
	flags.BoolVar(&o.smoke, "smoke", false, "run every scenario once with a few users and judge nothing but errors")
	flags.BoolVar(&o.peers, "peers", false, "also measure the other programs that this machine has")
	run := flags.String("run", "", "measure only scenarios whose NAME/USERS matches this `regexp`")
	flags.StringVar(&o.out, "out", "", "keep the results in this JSON `file`")
	flags.StringVar(&o.record, "record", "", "keep the results in docs/performance.* of this `directory`, in the place of older ones")
	flags.StringVar(&o.write, "write", "", "measure nothing: make docs/performance.* of this `directory` anew from its results")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	o.only, err = regexp.Compile(*run)
	return o, err
}

func bench(ctx context.Context, args []string) error {
	o, err := parseFlags(args)
	if err != nil {
		return err
	}
	if o.write != "" {
		return writeDocument(o.write)
	}
	results, failed, err := measureAll(ctx, o)
	// What was measured before an interruption is kept.
	return errors.Join(err, failures(failed), keep(o, results))
}

func failures(n int) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d scenarios failed", n)
}

// keep prints results and puts them where they are asked for.
func keep(o options, results Results) error {
	if len(results.Rows) == 0 {
		return nil
	}
	if !o.smoke {
		fmt.Print(markdown(results))
	}
	if o.out != "" {
		if err := results.save(o.out); err != nil {
			return err
		}
	}
	if o.record != "" {
		return record(o.record, results)
	}
	return nil
}

// measureAll runs the scenarios that are asked for. One that fails does not
// keep the others from being measured.
func measureAll(ctx context.Context, o options) (results Results, failed int, err error) {
	l, err := newLab(ctx, o.smoke)
	if err != nil {
		return results, 0, err
	}
	defer func() {
		if closing := l.close(); err == nil {
			err = closing
		}
	}()
	results.Machine = describeMachine(l)
	size := usual
	switch {
	case o.smoke:
		size = smoke
	case o.large:
		size = large
	}
	list := scenarios(size, l)
	if o.peers || o.smoke {
		others, lacking := peerScenarios(size.small)
		list = append(list, others...)
		for _, name := range lacking {
			fmt.Fprintln(os.Stderr, "not here, and not measured:", name)
		}
	}
	for _, s := range list {
		if !o.only.MatchString(s.id()) {
			continue
		}
		begin := time.Now()
		row := Row{Scenario: s.name, Users: s.users, Date: begin.Format(time.DateOnly)}
		var wrong error
		row.Series, row.Checks, wrong = s.run(l, s.users)
		if ctx.Err() != nil {
			return results, failed, context.Cause(ctx)
		}
		if o.smoke {
			row.Checks = nil
		}
		if wrong != nil {
			row.Series, row.Checks, row.Error = nil, nil, wrong.Error()
			failed++
			fmt.Fprintf(os.Stderr, "%s: %v\n", s.id(), wrong)
		} else {
			fmt.Fprintf(os.Stderr, "%-36s %s (%.0f s)\n", s.id(), row.brief(), time.Since(begin).Seconds())
		}
		results = merge(results, Results{results.Machine, []Row{row}})
	}
	if len(results.Rows) == 0 {
		return results, failed, fmt.Errorf("no scenario matches %q", o.only)
	}
	return results, failed, nil
}
