package spec

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"mtlsplan/internal/plan"
)

// Load reads and checks a spec. It reports every problem that it finds, in the
// order of the spec and then of its rosters; each has a range. When one of them
// is an error, the Config is nil. The Sources are for showing the problems.
//
// The only files that it reads are the spec itself and its rosters, and the only
// programs that it runs are those of rosters: see [input.Run] for what they get, and
// the time limit is five minutes. It does not look whether the source of a passphrase
// has one. When ctx ends, it reads no further, and that is among the problems.
//
// An output that is not empty is an absolute path and takes the place of the
// spec's. It is not checked: see [CheckOutput].
func Load(ctx context.Context, file, output string) (*Config, *Sources, hcl.Diagnostics) {
	return read(ctx, file, output, false)
}

// Peek is Load, but runs no program: the users whom one would list are left out. So
// the Config is for looking at names, and never for a run.
func Peek(ctx context.Context, file string) (*Config, *Sources, hcl.Diagnostics) {
	return read(ctx, file, "", true)
}

func read(ctx context.Context, file, output string, withoutPrograms bool) (*Config, *Sources, hcl.Diagnostics) {
	src := &Sources{files: map[string]*source{}}
	text, problem := readFile(ctx, file)
	if problem != nil {
		return nil, src, hcl.Diagnostics{problem}
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, src, hcl.Diagnostics{atFile(file, "Unknown working directory", sentence(err.Error()))}
	}
	l := newLoader(ctx, src, file, dir)
	l.withoutPrograms = withoutPrograms
	cfg, diags := l.load(text, output)
	return cfg, src, diags
}

// load reads a spec that was read from its file.
func (l *loader) load(text []byte, output string) (*Config, hcl.Diagnostics) {
	l.src.add(l.cfg.File, text)
	l.cfg.Output = output
	if l.readable(text) {
		l.config(text)
	}
	l.finish()
	if l.diags.HasErrors() {
		return nil, l.diags
	}
	return l.cfg, l.diags
}

// loader collects what a spec says and what is wrong with it.
type loader struct {
	ctx    context.Context // of this one call of [Load]
	src    *Sources
	cfg    *Config
	at     hcl.Range // the file as such
	diags  hcl.Diagnostics
	unread hcl.Diagnostics // what the parser could not read
	absent hcl.Diagnostics // what is missing
	broken bool            // the parser gave up on a part, so what seems to be missing may be there

	withoutPrograms bool // see [Peek]

	file       fileBlock
	top        map[string]bool               // names of the attributes outside of any block
	kinds      map[string][]*hclsyntax.Block // top-level blocks by type
	ca         caBlock
	defaults   defaultsBlock
	seal       sealBlock
	tellsDN    bool                 // some site forwards the DN
	users      map[string]hcl.Range // by name in lower case
	onDevice   map[string]hcl.Range // those of users that are for a device, by name in lower case
	people     people
	early      map[[2]hcl.Range]bool // validity and renew_before, or renew_spread alone, that were reported
	weak       map[hcl.Range]bool    // places of kdf_iterations that were reported
	siteBodies []*hclsyntax.Body
	sound      []siteReader // those of the proxy at hand of which every value could be read
	advice     []*advice
	inClear    checkout
	committed  map[string]bool // files with secrets that were told of
}

func newLoader(ctx context.Context, src *Sources, file, dir string) *loader {
	return &loader{
		ctx:       ctx,
		src:       src,
		cfg:       &Config{File: file, Dir: dir},
		at:        hcl.Range{Filename: file, Start: hcl.InitialPos, End: hcl.InitialPos},
		early:     map[[2]hcl.Range]bool{},
		weak:      map[hcl.Range]bool{},
		committed: map[string]bool{},
		top:       map[string]bool{},

		onDevice: map[string]hcl.Range{},
	}
}

func (l *loader) error(at hcl.Range, summary, detail string) {
	l.diags = append(l.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at})
}

// missing reports what is not there, unless it may be in a part that could not
// be parsed.
func (l *loader) missing(at hcl.Range, summary, detail string) {
	l.absent = append(l.absent, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at})
}

// readable reports whether text can be given to the parser.
func (l *loader) readable(text []byte) bool {
	if offset, detail := notText(text, "spec"); detail != "" {
		l.error(placeIn(l.cfg.File, text, offset), "Not a text file", detail)
		return false
	}
	if plan.IsSaved(text) {
		l.error(placeIn(l.cfg.File, text, 0), "JSON instead of a spec",
			"A spec is HCL, and this is JSON. If it is a plan that mtlsplan plan --out has saved, apply takes it, and no other command does.")
		return false
	}
	if offset, deep := tooDeep(text); deep {
		l.error(placeIn(l.cfg.File, text, offset), "Nested too deeply",
			"No spec needs brackets, quotes or operators nested so deeply. Is one of them not closed, or is this the wrong file?")
		return false
	}
	return true
}

// beside are the problems that do not follow from those of the parser: a value of
// which a part could not be read has others on its line. A secret is one however
// it is written.
func (l *loader) beside(unread hcl.Diagnostics) hcl.Diagnostics {
	lines := map[int]bool{}
	for _, d := range unread {
		lines[d.Subject.Start.Line] = d.Summary != syntax[redefined].summary
	}
	return slices.DeleteFunc(l.diags, func(d *hcl.Diagnostic) bool {
		return d.Subject != nil && d.Subject.Filename == l.cfg.File && lines[d.Subject.Start.Line] && d.Summary != secretInSpec
	})
}

// finish puts the problems and what their display needs in order.
func (l *loader) finish() {
	if !l.broken {
		l.diags = append(l.diags, l.absent...)
	}
	l.diags = append(l.beside(l.unread), l.unread...)
	for _, d := range l.diags {
		if d.Subject == nil {
			d.Subject = &l.at
		}
	}
	slices.SortStableFunc(l.diags, func(a, b *hcl.Diagnostic) int {
		return cmp.Or(l.src.compare(*a.Subject, *b.Subject), cmp.Compare(a.Severity, b.Severity))
	})
	if len(l.diags) > 0 {
		l.src.hideSecrets(l.cfg.File)
	}
	for _, f := range l.src.files {
		f.hidden = merge(f.hidden)
		slices.SortFunc(f.blocks, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	}
}
