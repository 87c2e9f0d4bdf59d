// Command record keeps the results of `make bench`, in Go's benchmark format. New
// rows replace old ones in docs/performance.txt, and the tables and the picture of
// docs/performance.md are made from that file. Without new results it only makes
// tables and picture again.
package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
)

func main() {
	if err := record(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

// record takes the directory docs and files of new results.
func record(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: record DOCS [RESULTS]")
	}
	var all []cell
	for _, name := range append([]string{filepath.Join(args[0], "performance.txt")}, args[1:]...) {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		measured, err := read(text, name)
		if err != nil {
			return err
		}
		all = merge(all, measured)
	}
	page, err := os.ReadFile(filepath.Join(args[0], "performance.md"))
	if err != nil {
		return err
	}
	files, err := document(string(page), all)
	for name, content := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(args[0], name), content, 0o644))
	}
	return err
}

// cell is the cost of one program in one row, or of one site under one load.
type cell struct {
	kind      string // of the benchmark: process or gate
	run, prog string
	users     int
	results   []*benchfmt.Result // of the turns
}

const process, gate = "Process", "Gate"

var cellName = regexp.MustCompile(`^(Process|Gate)/run=(.*?)(?:/users=(\d+))?/prog=(.*?)(?:-\d+)?$`)

func read(text []byte, name string) (all []cell, err error) {
	reader := benchfmt.NewReader(bytes.NewReader(text), name)
	for reader.Scan() {
		result, ok := reader.Result().(*benchfmt.Result)
		if !ok {
			continue // other output of a benchmark
		}
		m := cellName.FindStringSubmatch(strings.ReplaceAll(result.Name.String(), "_", " "))
		if m == nil {
			return nil, fmt.Errorf("%s: %s is not a row of the benchmark", name, result.Name)
		}
		users, _ := strconv.Atoi(m[3])
		i := slices.IndexFunc(all, func(c cell) bool { return c.kind == m[1] && c.run == m[2] && c.users == users && c.prog == m[4] })
		if i < 0 {
			i = len(all)
			all = append(all, cell{kind: m[1], run: m[2], prog: m[4], users: users})
		}
		all[i].results = append(all[i].results, result.Clone())
	}
	return all, reader.Err()
}

// merge replaces old rows by new ones. Old rows of another machine are dropped:
// figures of two machines do not belong in one table. Processes and gates have tables of
// their own.
func merge(old, measured []cell) []cell {
	var order []string
	for _, c := range append(slices.Clone(old), measured...) {
		if !slices.Contains(order, c.run) {
			order = append(order, c.run)
		}
	}
	kept := slices.DeleteFunc(slices.Clone(old), func(o cell) bool {
		return slices.ContainsFunc(measured, func(m cell) bool {
			return m.kind == o.kind && (m.run == o.run && m.users == o.users || m.machine() != o.machine())
		})
	})
	kept = append(kept, measured...)
	slices.SortStableFunc(kept, func(a, b cell) int {
		return cmp.Or(-cmp.Compare(a.kind, b.kind), slices.Index(order, a.run)-slices.Index(order, b.run), a.users-b.users)
	})
	return kept
}

func (c cell) machine() string { return c.results[0].GetConfig("machine") }

// values are the figures of all turns in one unit, in seconds or bytes.
func (c cell) values(unit string) (all []float64) {
	for _, r := range c.results {
		if v, ok := r.Value(unit); ok {
			all = append(all, v)
		}
	}
	return all
}

// median is the middle of values, or the mean of the two in the middle.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return 0
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

const tablesBegin, tablesEnd = "<!-- tables: written by make bench RECORD=1 -->\n", "<!-- end of tables -->\n"

// document is the content of the files in docs, by name.
func document(page string, all []cell) (map[string][]byte, error) {
	head, rest, begins := strings.Cut(page, tablesBegin)
	_, foot, ends := strings.Cut(rest, tablesEnd)
	if !begins || !ends || len(all) == 0 {
		return nil, fmt.Errorf("performance.md needs the lines %q and %q, and results", tablesBegin, tablesEnd)
	}
	picture, err := plotted(all)
	if err != nil {
		return nil, err
	}
	var kept bytes.Buffer
	w := benchfmt.NewWriter(&kept)
	for _, c := range all {
		for _, r := range c.results {
			if err := w.Write(r); err != nil {
				return nil, err
			}
		}
	}
	return map[string][]byte{
		"performance.md":  []byte(head + tablesBegin + "\n" + tables(all) + "\n" + tablesEnd + foot),
		"performance.svg": picture,
		"performance.txt": kept.Bytes(),
	}, nil
}
