package plan

import (
	"slices"
	"time"
)

// FormatVersion is the version of every JSON and YAML document. It rises when
// a key is removed or changes its meaning, not when one is added.
const FormatVersion = 1

// PlanDocument is the answer of plan: the steps that apply would do.
type PlanDocument struct {
	// Version of the format.
	FormatVersion int `json:"format_version"`
	// The time that the plan was made for.
	At time.Time `json:"at"`
	// The steps, in the order of their doing; at most one for each owner, but for a site with a deployment, which has one of its own.
	Steps []Step `json:"steps"`
	// Number of steps by action, for each action that occurs; and always unchanged (owners) and reimports (users who must import a new .p12).
	Summary Summary `json:"summary"`
	// Facts to know that change nothing.
	Notes []Note `json:"notes"`
	// The owners that cannot be judged; of apply, also those whose step failed.
	Failures []Failure `json:"failures"`
}

// Summary counts by action, and has the keys "unchanged" and "reimports".
type Summary map[string]int

// NewPlanDocument is the document of a plan.
func NewPlanDocument(p *Plan) PlanDocument {
	doc := PlanDocument{
		FormatVersion: FormatVersion,
		At:            Seconds(p.At),
		Steps:         make([]Step, 0, len(p.Steps)),
		Summary:       Summary{"unchanged": p.Unchanged, "reimports": p.Reimports()},
		Notes:         List(p.Notes),
		Failures:      List(p.Failures),
	}
	for _, s := range p.Steps {
		doc.Steps = append(doc.Steps, stepDocument(s))
	}
	for action, n := range p.Summary() {
		doc.Summary[string(action)] = n
	}
	return doc
}

func stepDocument(s Step) Step {
	s.Artefacts, s.Reasons = List(s.Artefacts), List(s.Reasons)
	if s.NotAfter != nil {
		t := Seconds(*s.NotAfter)
		s.NotAfter = &t
	}
	s.Superseded = slices.Clone(s.Superseded)
	for i := range s.Superseded {
		s.Superseded[i].ValidUntil = Seconds(s.Superseded[i].ValidUntil)
	}
	return s
}

// ApplyDocument is the answer of apply: the plan, and how far it was carried out.
type ApplyDocument struct {
	PlanDocument
	// The owners whose steps are done, in that order.
	Applied []Owner `json:"applied"`
	// Why the run stopped before all steps were done; what is applied is in place and safe.
	Error *ErrorDetail `json:"error,omitempty"`
}

// NewApplyDocument is the document of an apply: its plan, the steps that are
// done, every failure, those of the plan too, and why the run stopped early, or
// nil.
func NewApplyDocument(p *Plan, done []Step, failures []Failure, stopped *ErrorDetail) ApplyDocument {
	doc := ApplyDocument{PlanDocument: NewPlanDocument(p), Applied: make([]Owner, 0, len(done)), Error: stopped}
	doc.Failures = List(failures)
	for _, s := range done {
		doc.Applied = append(doc.Applied, s.Owner)
	}
	return doc
}

// RenderDocument is the answer of render: the files of one site.
type RenderDocument struct {
	FormatVersion int `json:"format_version"`
	// The site: nginx.NAME.
	Owner Owner `json:"owner"`
	// Every file of the site.
	Files []RenderedFile `json:"files"`
}

// RenderedFile is a file of a site.
type RenderedFile struct {
	// Path of the file, relative to the output directory.
	Path string `json:"path"`
	// Its whole text.
	Text string `json:"text"`
}

// ValidateDocument is the answer of validate: every problem of a spec.
type ValidateDocument struct {
	FormatVersion int `json:"format_version"`
	// Whether there is no error; warnings are allowed.
	Valid bool `json:"valid"`
	// Every problem, in the order of the source.
	Diagnostics []Diagnostic `json:"diagnostics"`
	// The output directory of a valid spec, a whole path.
	Output string `json:"output,omitempty"`
	// The files of its sites, relative to the output directory.
	SiteFiles []string `json:"site_files,omitempty"`
}

// Diagnostic is one problem of a spec or a roster, and its place.
type Diagnostic struct {
	// An error makes the spec invalid, a warning does not.
	Severity string `json:"severity" jsonschema:"enum=error,enum=warning"`
	// The problem in a few words.
	Summary string `json:"summary"`
	// The problem, why it matters and what to write instead.
	Detail string `json:"detail"`
	// The spec or roster that it is in; "output of PROGRAM" where a roster comes from one.
	File string `json:"file"`
	// Line where it begins, from 1; 0 where it has no place.
	Line int `json:"line"`
	// Column where it begins, in characters from 1; 0 where it has no place.
	Column int `json:"column"`
	// Line where it ends.
	EndLine int `json:"end_line"`
	// Column of the character after its end.
	EndColumn int `json:"end_column"`
}

// FmtDocument is the answer of fmt: which specs were not in the canonical style.
type FmtDocument struct {
	FormatVersion int `json:"format_version"`
	// The files that were rewritten; with --check those that would be.
	Changed []FormattedFile `json:"changed"`
	// Why a file could not be formatted; the others were.
	Error *ErrorDetail `json:"error,omitempty"`
}

// FormattedFile is a spec that fmt changes.
type FormattedFile struct {
	// The file, as it was named on the command line.
	File string `json:"file"`
	// With --diff, the change as a unified diff.
	Diff string `json:"diff,omitempty"`
}

// ReportDocument is the answer of report: the page that was written.
type ReportDocument struct {
	FormatVersion int `json:"format_version"`
	// The time that it is the state of.
	At time.Time `json:"at"`
	// The page, as it was named.
	File string `json:"file"`
	// How many owners are in it.
	Owners int `json:"owners"`
	// Why owners cannot be judged.
	Failures []Failure `json:"failures"`
}

// InitDocument is the answer of init: the spec that was written.
type InitDocument struct {
	FormatVersion int `json:"format_version"`
	// The file that was written.
	File string `json:"file"`
}

// VersionDocument is the answer of version: the build of the program.
type VersionDocument struct {
	FormatVersion int `json:"format_version"`
	// Version of the module; "devel" for a build outside a release.
	Version string `json:"version"`
	// Version of Go that built the program.
	Go string `json:"go"`
	// Operating system and architecture, as in linux/amd64.
	Platform string `json:"platform"`
	// Commit that it was built from.
	Revision string `json:"revision,omitempty"`
	// Time of that commit.
	Time string `json:"time,omitempty" jsonschema:"format=date-time"`
	// Whether the source differed from that commit.
	Modified bool `json:"modified"`
}

// ErrorDocument is the answer of any command that ends with an error and has no document of its own to put it in.
type ErrorDocument struct {
	FormatVersion int `json:"format_version"`
	// The error.
	Error ErrorDetail `json:"error"`
}

// ErrorDetail is an error that ended a run.
type ErrorDetail struct {
	// The kind of error; codes are stable.
	Code Code `json:"code"`
	// The problem and its remedy, for people.
	Message string `json:"message"`
	// Every problem of a spec that is invalid.
	Diagnostics []Diagnostic `json:"diagnostics,omitempty"`
}

// List makes an absent list an empty one: documents have [] and never null.
func List[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// Seconds is a time as documents have it: in UTC, without fractions.
func Seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
