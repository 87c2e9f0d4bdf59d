package main

import (
	"path/filepath"

	"github.com/hashicorp/hcl/v2"

	"mtlsplan/internal/ui"
	"mtlsplan/spec"
)

// loadSpec reads the spec that a command works on, says what is wrong with it,
// and puts --output into place.
func (a *app) loadSpec(file string) (*spec.Config, error) {
	cfg, src, diags := spec.Load(file)
	if !a.quiet || diags.HasErrors() {
		a.explain(src, diags)
	}
	if diags.HasErrors() {
		return nil, exitError{exitInvalid, nil}
	}
	if a.output != "" {
		dir, err := filepath.Abs(a.output)
		if err != nil {
			return nil, err
		}
		cfg.Output = dir
	}
	return cfg, nil
}

// explain writes problems of a spec to standard error, after which nothing of
// them is left to be said.
func (a *app) explain(src *spec.Sources, diags hcl.Diagnostics) {
	if len(diags) > 0 {
		ui.WriteDiagnostics(a.stderr, src, diags, ui.StyleFor(a.stderr, a.lookupEnv).Color)
	}
}
