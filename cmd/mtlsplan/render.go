package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
	"mtlsplan/render"
	"mtlsplan/spec"
)

func (a *app) renderCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "render [FILE] [NAME]",
		Short: "Print a site to standard output",
		Long: `Prints the proxy configuration of the site NAME, as apply would write it, with
the revocations that the CA database holds now. NAME may be left out where the
spec has only one site. A single argument is FILE if it ends in .hcl or names
an existing file, else NAME. The names of what a site declares end in a digest
over the CA's key, which differs as long as there is no CA.`,
		Example: `  mtlsplan render
  mtlsplan render mattermost
  mtlsplan render staff.hcl mattermost | diff site.conf -`,
		Args:              atMostFileAndName,
		ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, name := fileAndName(args)
			cfg, err := a.loadSpec(cmd.Context(), file)
			if err != nil {
				return err
			}
			site, err := siteNamed(cfg, name)
			if err != nil {
				return err
			}
			opt, err := a.options(cfg, runFlags{}, "render")
			if err != nil {
				return err
			}
			files, err := engine.RenderSite(cmd.Context(), cfg, opt, site)
			if err != nil {
				return err
			}
			return a.printSite(site, files)
		},
	}
}

// printSite writes the site byte by byte as its files will hold it; as text
// that is not cleaned, since the spec lets no control character into a site.
func (a *app) printSite(site spec.Site, files []render.File) error {
	doc := plan.RenderDocument{FormatVersion: plan.FormatVersion, Owner: plan.Owner(site.Proxy.Name + "." + site.Name)}
	for _, f := range files {
		if !a.documents() {
			if _, err := a.stdout.Write(f.Data); err != nil {
				return err
			}
		}
		doc.Files = append(doc.Files, plan.RenderedFile{Path: f.Name, Text: string(f.Data)})
	}
	if !a.documents() {
		return nil
	}
	return a.answer(doc)
}

// siteNamed finds a site by its label or owner; "" is the only site.
func siteNamed(cfg *spec.Config, name string) (spec.Site, error) {
	var known []plan.Owner
	var found []spec.Site
	for _, s := range cfg.Sites {
		owner := s.Proxy.Name + "." + s.Name
		known = append(known, plan.Owner(owner))
		if name == "" || name == owner || name == s.Name {
			found = append(found, s)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(known) == 0:
		return spec.Site{}, plan.Errorf(plan.UnknownOwner, "%s has no site; add an nginx block", cfg.File)
	case len(found) == 0:
		return spec.Site{}, plan.Errorf(plan.UnknownOwner, "%s has no site %q; give %s", cfg.File, name, orList(known))
	}
	return spec.Site{}, plan.Errorf(plan.UnknownOwner, "%s has more than one site; give %s", cfg.File, orList(known))
}

// fileAndName tells FILE and NAME apart; either may be left out.
func fileAndName(args []string) (file, name string) {
	switch {
	case len(args) == 0:
		return defaultSpec, ""
	case len(args) == 2:
		return args[0], args[1]
	case strings.HasSuffix(args[0], ".hcl") || isFile(args[0]):
		return args[0], ""
	}
	return defaultSpec, args[0]
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}
