package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
	"mtlsplan/spec"
)

func (a *app) validateCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "validate [FILE]",
		Short: "Check a spec",
		Long: `Checks a spec and reports every problem in it, each with its place and its
remedy. Only the spec and its rosters are read, no passphrase and no output
directory. A roster that comes from a program is read by running it.

Exits with 0 if the spec is valid and with 10 if it is not. With --format json or
yaml the problems go to standard output as a document, which also names the output
directory and the files of sites.`,
		Args: atMostOneFile,
		RunE: func(cmd *cobra.Command, args []string) error { return a.validate(cmd.Context(), specArg(args)) },
	}
}

func (a *app) validate(ctx context.Context, file string) error {
	if a.documents() {
		cfg, _, diags, err := a.parseSpec(ctx, file)
		if err != nil {
			return err
		}
		doc := plan.ValidateDocument{FormatVersion: plan.FormatVersion, Valid: !diags.HasErrors(), Diagnostics: ui.Diagnostics(diags)}
		if doc.Valid {
			doc.Output = cfg.Output
			for _, site := range cfg.Sites {
				doc.SiteFiles = append(doc.SiteFiles, site.Proxy.Files(site.Settings)...)
			}
		}
		if err := a.answer(doc); err != nil {
			return err
		}
		if !doc.Valid {
			return exitStatus(exitInvalid)
		}
		return nil
	}
	cfg, err := a.loadSpec(ctx, file)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s is valid: %s.\n", ui.Clean(file), contents(cfg))
	return err
}

// contents counts what a spec describes.
func contents(cfg *spec.Config) string {
	parts := []string{"1 CA"}
	for _, c := range []struct {
		n    int
		noun string
	}{{len(cfg.Users), "user"}, {len(cfg.Sites), "site"}} {
		if c.n == 1 {
			parts = append(parts, "1 "+c.noun)
		} else {
			parts = append(parts, fmt.Sprintf("%d %ss", c.n, c.noun))
		}
	}
	return strings.Join(parts, ", ")
}
