package main

import (
	"encoding/json"
	"os"
	"slices"
)

// Results is what is kept of one or more sittings on one machine.
type Results struct {
	Machine Machine `json:"machine"`
	Rows    []Row   `json:"rows"`
}

// Row is one scenario at one number of users.
type Row struct {
	Scenario string   `json:"scenario"`
	Users    int      `json:"users"`
	Date     string   `json:"date"` // YYYY-MM-DD
	Series   []Series `json:"series,omitempty"`
	Checks   []Check  `json:"checks,omitempty"`
	Remark   string   `json:"remark,omitempty"`
	Error    string   `json:"error,omitempty"` // why there are no figures
}

// Check is a target and what was reached of it: Have must not exceed Limit.
type Check struct {
	What  string  `json:"what"`
	Have  float64 `json:"have"`
	Limit float64 `json:"limit"`
	Unit  string  `json:"unit"` // "×", "s", "ms", "MiB", "files"
}

func (c Check) met() bool { return c.Have <= c.Limit }

// busyFrom is how many cores other processes may use, on average, before a
// row is marked: it was measured on a busy machine.
const busyFrom = 0.25

// others is how many cores were used by processes other than the measured one.
func (r Row) others() float64 {
	var wall, used float64
	for _, series := range r.Series {
		for _, s := range series.Samples {
			wall, used = wall+s.Wall, used+s.Others
		}
	}
	// /proc/stat counts in steps of 10 ms on each core.
	if wall < 0.5 {
		return 0
	}
	return used / wall
}

// series is that of one program, nil when it was not measured.
func (r Row) series(who string) *Series {
	for i := range r.Series {
		if r.Series[i].Who == who {
			return &r.Series[i]
		}
	}
	return nil
}

// The figures of a sample that are compared.
func cpuOf(s Sample) float64  { return s.CPU }
func wallOf(s Sample) float64 { return s.Wall }
func mibOf(s Sample) float64  { return s.MiB }

func (s *Series) median(of func(Sample) float64) float64 {
	var values []float64
	for _, sample := range s.Samples {
		values = append(values, of(sample))
	}
	return median(values)
}

// median is the middle of values, or the mean of the two in the middle.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	switch n := len(v); {
	case n == 0:
		return 0
	case n%2 == 1:
		return v[n/2]
	default:
		return (v[n/2-1] + v[n/2]) / 2
	}
}

// paired is the median over the turns of f(a, b): a slow turn of the machine
// is slow for both.
func paired(a, b *Series, of func(Sample) float64, f func(a, b float64) float64) float64 {
	var values []float64
	for i := range min(len(a.Samples), len(b.Samples)) {
		values = append(values, f(of(a.Samples[i]), of(b.Samples[i])))
	}
	return median(values)
}

func ratio(a, b float64) float64 {
	if b == 0 { // less than the kernel's clock can tell
		b = 1e-6
	}
	return a / b
}

func difference(a, b float64) float64 { return a - b }

// readResults reads a file that save wrote; none is no results.
func readResults(path string) (Results, error) {
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return Results{}, nil
	}
	if err != nil {
		return Results{}, err
	}
	var r Results
	return r, json.Unmarshal(text, &r)
}

func (r Results) save(path string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// merge puts new rows in the place of old ones. Old rows of another machine
// are dropped: figures of two machines do not belong into one table.
func merge(old, measured Results) Results {
	if old.Machine != measured.Machine {
		return measured
	}
	out := Results{Machine: old.Machine, Rows: slices.Clone(old.Rows)}
	for _, row := range measured.Rows {
		i := slices.IndexFunc(out.Rows, func(o Row) bool { return o.Scenario == row.Scenario && o.Users == row.Users })
		if i < 0 {
			out.Rows = append(out.Rows, row)
		} else {
			out.Rows[i] = row
		}
	}
	slices.SortStableFunc(out.Rows, func(a, b Row) int { return order(a) - order(b) })
	return out
}

// order is a row's place: by scenario as in scenarioOrder, then by users.
func order(r Row) int {
	place := slices.Index(scenarioOrder, r.Scenario)
	if place < 0 {
		place = len(scenarioOrder)
	}
	return place*1_000_000 + r.Users
}
