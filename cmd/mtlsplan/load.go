package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"

	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
	"mtlsplan/spec"
)

// loadSpec reads the spec that a command works on, and prints its warnings. An
// invalid one is a [specError].
func (a *app) loadSpec(ctx context.Context, file string) (*spec.Config, error) {
	cfg, src, diags, err := a.readSpec(ctx, file)
	a.explain(src, diags)
	return cfg, err
}

// readSpec is loadSpec, but for the printing.
func (a *app) readSpec(ctx context.Context, file string) (*spec.Config, *spec.Sources, hcl.Diagnostics, error) {
	cfg, src, diags, err := a.parseSpec(ctx, file)
	if err == nil && diags.HasErrors() {
		return nil, nil, nil, invalidSpec(file, src, diags)
	}
	return cfg, src, diags, err
}

// parseSpec reads a spec, valid or not, and puts --output into place.
func (a *app) parseSpec(ctx context.Context, file string) (*spec.Config, *spec.Sources, hcl.Diagnostics, error) {
	output := a.output
	if output != "" {
		var err error
		if output, err = filepath.Abs(output); err != nil {
			return nil, nil, nil, err
		}
	}
	cfg, src, diags := spec.Load(ctx, file, output)
	if ctx.Err() != nil {
		return nil, nil, nil, plan.Errorf(plan.Interrupted, "interrupted")
	}
	if output != "" && cfg != nil {
		if err := spec.CheckOutput(cfg); err != nil {
			return nil, nil, nil, usageError("--output: %w", err)
		}
	}
	return cfg, src, diags, nil
}

// warningNote is a warning of a spec as a run remembers it.
func warningNote(d *hcl.Diagnostic) plan.Note {
	n := plan.Note{Warning: true, Message: d.Summary + ": " + d.Detail}
	if d.Subject != nil {
		n.Message = d.Subject.Filename + ": " + n.Message
	}
	return n
}

// specError holds what is wrong with a spec.
type specError struct {
	file  string
	src   *spec.Sources
	diags hcl.Diagnostics
}

func invalidSpec(file string, src *spec.Sources, diags hcl.Diagnostics) error {
	return &plan.Error{Code: plan.SpecInvalid, Err: &specError{file, src, diags}}
}

// add makes e the error of several files, the first being named.
func (e *specError) add(other *specError) {
	if e.diags == nil {
		e.file, e.src = other.file, other.src
	}
	e.diags = append(e.diags, other.diags...)
}

// Error is one line: the first error and its place, and how many there are.
func (e *specError) Error() string {
	var errs []*hcl.Diagnostic
	for _, d := range e.diags {
		if d.Severity == hcl.DiagError {
			errs = append(errs, d)
		}
	}
	first, place := errs[0], e.file
	if at := first.Subject; at != nil {
		place = fmt.Sprintf("%s:%d:%d", at.Filename, at.Start.Line, at.Start.Column)
	}
	text := fmt.Sprintf("%s is invalid: %s: %s", e.file, place, first.Summary)
	switch more := len(errs) - 1; more {
	case 0:
		return text
	case 1:
		return text + ", and 1 more error"
	default:
		return fmt.Sprintf("%s, and %d more errors", text, more)
	}
}

// explain writes problems of a spec to standard error, for people.
func (a *app) explain(src *spec.Sources, diags hcl.Diagnostics) {
	if len(diags) > 0 {
		ui.WriteDiagnostics(a.stderr, src, diags, ui.StyleFor(a.stderr, a.lookupEnv).Color)
	}
}
