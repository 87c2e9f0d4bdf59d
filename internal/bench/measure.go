package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Sample is what one process cost, with all processes that it started and
// waited for.
type Sample struct {
	Wall   float64 `json:"wall"`   // seconds
	CPU    float64 `json:"cpu"`    // seconds, user and system mode
	MiB    float64 `json:"mib"`    // peak of the resident memory of the largest process
	Others float64 `json:"others"` // seconds of CPU that all else on the machine used meanwhile
}

// Series is the samples of one program in one scenario.
type Series struct {
	Who     string   `json:"who"`
	Samples []Sample `json:"samples"`
	Written int      `json:"written"` // files that the last run made or changed; -1: not counted
}

// command is a process to measure.
type command struct {
	who    string
	argv   []string
	env    []string     // beside the environment
	dir    string       // its working directory
	before func() error // what it finds; not measured
	code   int          // its exit code
	says   string       // what the end of its output must hold
	writes string       // directory in which the files that it writes are counted; "" for none
}

// String is what a person would type, without the path and a peer's script.
func (c command) String() string {
	words := slices.DeleteFunc(slices.Clone(c.argv[1:]), func(word string) bool { return strings.Contains(word, "\n") })
	return c.who + " " + strings.Join(words, " ")
}

// turns measures commands one after the other, in several turns, A B A B:
// what happens to the machine then happens to all of them. prepare is asked
// for the commands of each turn, counted from 0; its work is not measured.
// There are at least `least` turns, and more until the scenario's time is up.
func (l *lab) turns(least, most int, prepare func(turn int) ([]command, error)) ([]Series, error) {
	if l.smoke {
		least, most = 1, 1
	}
	var all []Series
	begin := time.Now()
	for turn := range most {
		if turn >= least && time.Since(begin) > rowTime {
			break
		}
		commands, err := prepare(turn)
		if err != nil {
			return nil, err
		}
		for i, c := range commands {
			if turn == 0 {
				all = append(all, Series{Who: c.who})
			}
			sample, written, err := l.measure(c)
			if err != nil {
				return nil, err
			}
			all[i].Samples = append(all[i].Samples, sample)
			all[i].Written = written
		}
	}
	return all, nil
}

// measure runs one command and reads its cost from the kernel.
func (l *lab) measure(c command) (Sample, int, error) {
	if c.before != nil {
		if err := c.before(); err != nil {
			return Sample{}, 0, fmt.Errorf("%s: %w", c.who, err)
		}
	}
	// A run must not pay for what others have left to be written.
	if err := syncFileSystem(l.dir); err != nil {
		return Sample{}, 0, err
	}
	// The output is kept off the measured file system.
	output, err := os.CreateTemp("", "bench-output-")
	if err != nil {
		return Sample{}, 0, err
	}
	defer os.Remove(output.Name())
	defer output.Close()

	cmd := exec.CommandContext(l.ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, output, output
	cmd.Env = append(os.Environ(), c.env...)
	others, begin := busySeconds(), time.Now()
	err = cmd.Run()
	wall := time.Since(begin)
	others = busySeconds() - others
	if l.ctx.Err() != nil {
		return Sample{}, 0, context.Cause(l.ctx)
	}
	end := tail(output)
	if cmd.ProcessState == nil {
		return Sample{}, 0, fmt.Errorf("%s: %w", c.who, err)
	}
	if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(end, c.says) {
		return Sample{}, 0, fmt.Errorf("%s ended with %d, expected %d and %q; its last words:\n%s",
			c, code, c.code, c.says, end)
	}
	state := cmd.ProcessState
	s := Sample{Wall: wall.Seconds(), CPU: (state.UserTime() + state.SystemTime()).Seconds()}
	// A process that was started begins with the peak of the one that started
	// it, so this program must stay small itself.
	s.MiB = float64(state.SysUsage().(*syscall.Rusage).Maxrss) / 1024
	s.Others = max(0, others-s.CPU)
	return s, countWritten(c.writes, begin), nil
}

// tail is the last lines of a file.
func tail(f *os.File) string {
	const most = 2000
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err.Error()
	}
	text, err := io.ReadAll(io.NewSectionReader(f, max(0, size-most), most))
	if err != nil {
		return err.Error()
	}
	return string(text)
}
