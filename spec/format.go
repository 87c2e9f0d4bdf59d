package spec

import (
	"context"
	_ "embed"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

//go:embed starter.hcl
var starter []byte

// Starter is a commented spec to begin with. It is valid and formatted.
func Starter() []byte { return slices.Clone(starter) }

// Format returns a spec in the canonical style of HCL. Only white space changes:
// comments, order and line ends stay. Text that is not HCL is returned as it is,
// with every syntax error. It need not be a valid spec.
func Format(text []byte, file string) ([]byte, *Sources, hcl.Diagnostics) {
	src := &Sources{files: map[string]*source{file: {text: text}}}
	l := newLoader(context.Background(), src, file, "")
	if l.readable(text) {
		l.each(text, split(text), func(*hclsyntax.Body) {})
	}
	l.finish()
	if l.diags.HasErrors() {
		return text, src, l.diags
	}
	return hclwrite.Format(text), src, l.diags
}

// ReadFile returns the text of a spec as [Load] would read it, or the one
// problem that keeps it from being read.
func ReadFile(ctx context.Context, file string) ([]byte, hcl.Diagnostics) {
	text, problem := readFile(ctx, file)
	if problem != nil {
		return nil, hcl.Diagnostics{problem}
	}
	return text, nil
}
