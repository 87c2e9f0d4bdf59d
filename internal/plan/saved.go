package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SavedKind is what a saved plan calls itself, so that it is told from every other file.
const SavedKind = "mtlsplan saved plan"

// SavedPlan is what plan --out writes and apply carries out: a plan, and what it was made from. It holds no secret.
type SavedPlan struct {
	FormatVersion int `json:"format_version"`
	// What the file is: mtlsplan saved plan.
	Kind string `json:"kind"`
	// The spec, as it was named on the command line.
	Spec Content `json:"spec"`
	// What its rosters held, in the order of the spec.
	Rosters []Content `json:"rosters"`
	// What was asked beside the spec.
	Flags SavedFlags `json:"flags"`
	// What the files held on which the plan depends: of the CA database, of the CA, and of sites on the proxy's host.
	Directory []Content `json:"directory"`
	// What each step goes by, in the order of the steps.
	Grounds []Ground `json:"grounds"`
	// The plan, as plan --format json prints it.
	Plan PlanDocument `json:"plan"`
	// SHA-256 over all of the above, in hex.
	Checksum string `json:"checksum"`
}

// Content is a file by what it holds.
type Content struct {
	// Its name; of a roster's program what it is called in messages.
	File string `json:"file"`
	// SHA-256 of what it holds in hex; empty where there is no such file.
	SHA256 string `json:"sha256"`
}

// SavedFlags is what was asked beside the spec, as far as the plan depends on it.
type SavedFlags struct {
	// --output, as it was given.
	Output string `json:"output,omitempty"`
	// --only.
	Only []string `json:"only,omitempty"`
	// --replace.
	Replace []string `json:"replace,omitempty"`
	// --reason.
	Reason string `json:"reason,omitempty"`
	// --allow-revocations.
	AllowRevocations int `json:"allow_revocations,omitempty"`
	// --adopt.
	Adopt bool `json:"adopt,omitempty"`
	// --accept-clock.
	AcceptClock bool `json:"accept_clock,omitempty"`
	// --rehearsal.
	Rehearsal bool `json:"rehearsal,omitempty"`
	// --at of a rehearsal.
	At string `json:"at,omitempty"`
}

// Ground is what a step goes by, beside its reasons.
type Ground struct {
	// The certificates that the step revokes.
	Revokes []Revocation `json:"revokes"`
	// SHA-256 of the public key that is certified, in hex; absent where it is made by the step.
	Key string `json:"key,omitempty"`
}

// Revocation is a certificate that is to be revoked, and why.
type Revocation struct {
	// Serial number in upper-case hex.
	Serial string `json:"serial"`
	// RFC 5280 reason.
	Reason string `json:"reason"`
}

// Basis is what a plan was made from, as far as the directory goes.
type Basis struct {
	Directory []Content
	Grounds   []Ground
}

// ContentOf is a file with this content.
func ContentOf(file string, data []byte) Content {
	sum := sha256.Sum256(data)
	return Content{file, hex.EncodeToString(sum[:])}
}

// NewSavedPlan is a plan as it is saved.
func NewSavedPlan(p *Plan, basis *Basis, sources []Content, flags SavedFlags) *SavedPlan {
	s := &SavedPlan{FormatVersion: FormatVersion, Kind: SavedKind, Spec: sources[0], Rosters: List(sources[1:]), Flags: flags,
		Directory: List(basis.Directory), Grounds: List(basis.Grounds), Plan: NewPlanDocument(p)}
	s.Checksum = s.checksum()
	return s
}

// checksum is that over all but itself.
func (s *SavedPlan) checksum() string {
	bare := *s
	bare.Checksum = ""
	text, err := json.Marshal(bare)
	if err != nil {
		panic(err) // of strings, numbers and times
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// IsSaved reports whether a text is meant to be a saved plan: it is JSON, as no spec is.
func IsSaved(text []byte) bool {
	return strings.HasPrefix(strings.TrimLeft(strings.TrimPrefix(string(text[:min(len(text), 256)]), "\ufeff"), " \t\r\n"), "{")
}

// ParseSaved reads a saved plan. The error says what is wrong with the file, and begins
// with its name.
func ParseSaved(file string, text []byte) (*SavedPlan, error) {
	const anew = "make it anew with mtlsplan plan --out"
	var head struct {
		FormatVersion int              `json:"format_version"`
		Kind          string           `json:"kind"`
		Steps         *json.RawMessage `json:"steps"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("%s looks like a saved plan and is damaged or cut short (%w): %s", file, err, anew)
	}
	switch {
	case head.Kind != SavedKind && head.Steps != nil:
		return nil, fmt.Errorf("%s is a plan as --format json prints it, which does not say what it was made from, so it cannot be applied: %s", file, anew)
	case head.Kind != SavedKind:
		return nil, fmt.Errorf("%s is neither a spec nor a saved plan", file)
	case head.FormatVersion != FormatVersion:
		return nil, fmt.Errorf("%s is a saved plan of format %d, and this mtlsplan reads format %d: plan and apply with the same version", file, head.FormatVersion, FormatVersion)
	}
	var s SavedPlan
	if err := json.Unmarshal(text, &s); err != nil || s.Checksum != s.checksum() || len(s.Grounds) != len(s.Plan.Steps) {
		return nil, fmt.Errorf("%s is a saved plan that was changed after it was made, or is damaged: %s", file, anew)
	}
	return &s, nil
}

// DifferentFlags are the flags that are given otherwise than when the plan was made.
func (s *SavedPlan) DifferentFlags(now SavedFlags) (out []string) {
	was := s.Flags
	for _, f := range []struct{ name, was, now string }{
		{"--output", was.Output, now.Output},
		{"--only", strings.Join(was.Only, " "), strings.Join(now.Only, " ")},
		{"--replace", strings.Join(was.Replace, " "), strings.Join(now.Replace, " ")},
		{"--reason", was.Reason, now.Reason},
		{"--allow-revocations", fmt.Sprint(was.AllowRevocations), fmt.Sprint(now.AllowRevocations)},
		{"--adopt", fmt.Sprint(was.Adopt), fmt.Sprint(now.Adopt)},
		{"--accept-clock", fmt.Sprint(was.AcceptClock), fmt.Sprint(now.AcceptClock)},
		{"--rehearsal", fmt.Sprint(was.Rehearsal), fmt.Sprint(now.Rehearsal)},
		{"--at", was.At, now.At},
	} {
		if f.was != f.now {
			out = append(out, f.name)
		}
	}
	return out
}

// DifferentSources are the spec and the rosters that hold something else by now, as half
// sentences.
func (s *SavedPlan) DifferentSources(sources []Content) (out []string) {
	if sources[0].SHA256 != s.Spec.SHA256 {
		out = append(out, "the spec "+s.Spec.File+" has changed")
	}
	for i, was := range s.Rosters {
		if i+1 < len(sources) && sources[i+1].SHA256 != was.SHA256 {
			out = append(out, "the list "+was.File+" has changed")
		}
	}
	return out
}

// DifferentDirectory are the files of the directory that hold something else by now, as a
// half sentence.
func (s *SavedPlan) DifferentDirectory(basis *Basis) (out []string) {
	var names []string
	for _, was := range s.Directory { // of the same files, since the spec is the same
		if !slices.Contains(basis.Directory, was) {
			names = append(names, was.File)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{listing(names) + " " + oneOrMany(len(names), "has", "have") + " changed in the output directory or on the proxy's host, perhaps because a plan was applied"}
}

// DifferentSteps are the steps that are judged otherwise by now, as half sentences.
// Steps of which done reports true may be gone: they are carried out. With lenient,
// users may not be judged yet, or only as far as they lose something, and what has
// become of the steps that are done is not compared; but nothing is revoked that was not
// to be.
func (s *SavedPlan) DifferentSteps(p *Plan, basis *Basis, done func(Step) bool, lenient bool) (out []string) {
	now := map[string]int{}
	for i, step := range p.Steps {
		now[step.Key()] = i
	}
	for i, was := range s.Plan.Steps {
		j, still := now[was.Key()]
		delete(now, was.Key())
		switch {
		case !still && done(was):
		case !still && lenient && slices.ContainsFunc(p.Failures, func(f Failure) bool { return f.Owner == was.Owner }):
		case !still:
			out = append(out, fmt.Sprintf("the step %s %s is not needed any more", was.Owner, was.Action))
		case was.Action != p.Steps[j].Action && !(lenient && (p.Steps[j].Action == Revoke || !strings.HasPrefix(string(was.Owner), "user."))):
			out = append(out, fmt.Sprintf("the step of %s is %s now, not %s", was.Owner, p.Steps[j].Action, was.Action))
		case !lenient && !sameStep(was, p.Steps[j]):
			out = append(out, fmt.Sprintf("the step %s %s has other reasons or artefacts now", was.Owner, was.Action))
		case !lenient && s.Grounds[i].Key != basis.Grounds[j].Key, !sameRevocations(s.Grounds[i].Revokes, basis.Grounds[j].Revokes, lenient):
			out = append(out, fmt.Sprintf("the step %s %s is about another key or other certificates now", was.Owner, was.Action))
		}
	}
	for _, step := range p.Steps {
		if _, isNew := now[step.Key()]; isNew {
			out = append(out, fmt.Sprintf("there is a new step, %s %s (%s)", step.Owner, step.Action, step.Reasons[0].Code))
		}
	}
	if !lenient {
		out = append(out, s.differentFailures(p)...)
	}
	return out
}

func (s *SavedPlan) differentFailures(p *Plan) (out []string) {
	is := func(f Failure) func(Failure) bool {
		return func(other Failure) bool { return f.Owner == other.Owner && f.Code == other.Code }
	}
	for _, was := range s.Plan.Failures {
		if !slices.ContainsFunc(p.Failures, is(was)) {
			out = append(out, fmt.Sprintf("%s could not be judged (%s), and can now", was.Owner, was.Code))
		}
	}
	for _, now := range p.Failures {
		if !slices.ContainsFunc(s.Plan.Failures, is(now)) {
			out = append(out, fmt.Sprintf("%s cannot be judged now (%s)", now.Owner, now.Code))
		}
	}
	return out
}

// Key tells the steps of a plan apart: a site has one of its own and one of its copies.
func (s Step) Key() string {
	if slices.Contains(s.Artefacts, KindDeploy) {
		return string(s.Owner) + " " + KindDeploy
	}
	return string(s.Owner)
}

func sameStep(a, b Step) bool {
	return slices.Equal(a.Artefacts, b.Artefacts) && slices.EqualFunc(a.Reasons, b.Reasons, func(x, y Reason) bool { return x.Code == y.Code })
}

// sameRevocations reports whether the same is revoked by now; with fewer, or a part of it.
func sameRevocations(was, now []Revocation, fewer bool) bool {
	if !fewer {
		return slices.Equal(was, now)
	}
	return !slices.ContainsFunc(now, func(r Revocation) bool { return !slices.Contains(was, r) })
}

// OtherFlags is the error of a saved plan that is not applied, because these flags are
// others than it was made with.
func OtherFlags(file string, flags []string) error {
	them := oneOrMany(len(flags), "it", "them")
	return Errorf(Outdated, "%s is applied with the flags that it was made with, and %s %s here, so nothing was changed: leave %s out, or give %s to mtlsplan plan --out and apply what that saves",
		file, listing(flags), oneOrMany(len(flags), "differs", "differ"), them, them)
}

// OutOfDate is the error of a saved plan that is not applied, with what has moved on.
func OutOfDate(file string, moved []string) error {
	return Errorf(Outdated, "%s is out of date, so nothing was changed: %s. Look at what mtlsplan plan says by now, and save it again with --out", file, listing(moved))
}

// listing writes "a", "a and b", "a, b and c", and counts what is beyond a few.
func listing(parts []string) string {
	const most = 5
	if rest := len(parts) - most; rest > 1 {
		parts = append(slices.Clone(parts[:most]), fmt.Sprintf("%d more", rest))
	}
	last := len(parts) - 1
	if last < 1 {
		return strings.Join(parts, "")
	}
	sep, and := ", ", " and "
	if strings.Contains(strings.Join(parts, ""), ", ") {
		sep, and = "; ", "; and "
	}
	return strings.Join(parts[:last], sep) + and + parts[last]
}

func oneOrMany(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// SavedAt is the time of a rehearsal as a saved plan has it.
func SavedAt(t time.Time) string { return t.UTC().Format(time.RFC3339) }
