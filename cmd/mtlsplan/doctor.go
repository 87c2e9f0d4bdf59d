package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mtlsplan/internal/doctor"
	"mtlsplan/internal/input"
	"mtlsplan/internal/nginxconf"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
)

// mostOfSite is how long a file of a site, or one that it names, may be, in bytes.
const mostOfSite = 4 << 20

func (a *app) doctorCmd() *cobra.Command {
	var prefix, version string
	cmd := &cobra.Command{
		Use:   "doctor SITE",
		Short: "Find what is wrong in a hand-made NGINX site",
		Long: `Reads an NGINX site that was made by hand, with what it includes and the CA and
CRL files that it names, and says line by line what is wrong with its client
certificates, and what to write. SITE is a file of the http block, a whole
nginx.conf, or the lines of one server. What nginx.conf sets is seen only where
it is the SITE. NGINX is not run and nothing is changed: nginx -t says whether
NGINX starts, and not whether it lets the right people in.

Exits with 0 if nothing is wrong, with 2 if something is, and with 1 if SITE
cannot be read.`,
		Example: `  mtlsplan doctor /etc/nginx/sites-available/mattermost
  mtlsplan doctor --nginx-version 1.26 site.conf
  mtlsplan doctor site.conf --format json | jq -r '.checks[] | select(.ok | not) | .code'`,
		Args: func(_ *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return errors.New("give the SITE to read, as in /etc/nginx/sites-available/mattermost")
			case 1:
				return nil
			}
			return fmt.Errorf("takes one SITE, not %d", len(args))
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.doctor(cmd.Context(), args[0], prefix, version)
		},
	}
	cmd.Flags().StringVar(&prefix, "prefix", "/etc/nginx", "`DIR` of nginx.conf, where the relative paths in SITE begin")
	cmd.Flags().StringVar(&version, "nginx-version", "", "`VERSION` of NGINX, as in 1.26; without it, lines that only some versions take are reported")
	return cmd
}

func (a *app) doctor(ctx context.Context, file, prefix, version string) error {
	site := doctor.Site{File: file, Prefix: prefix, Now: a.started}
	var err error
	if version != "" {
		if site.Version, err = doctor.ParseVersion(version); err != nil {
			return usageError("--nginx-version %q: %w", version, err)
		}
	}
	text, _, err := input.Read(ctx, file, mostOfSite)
	if err != nil {
		return a.unread(ctx, file, err)
	}
	files := &siteFiles{ctx: ctx}
	site.Directives, site.Errors = nginxconf.Load(file, text, site.Prefix, files)
	if len(site.Errors) == 0 && !doctor.HasServer(site.Directives) {
		return plan.Errorf(plan.FileError, "%s has no server block, so there is nothing to judge; give the file with the site", file)
	}
	site.Files = map[string]doctor.File{}
	for _, path := range doctor.Paths(site.Directives, site.Prefix) {
		text, info, err := input.Read(ctx, path, mostOfSite)
		f := doctor.File{Text: text, Err: err}
		if err == nil {
			f.Mode = info.Mode()
		}
		site.Files[path] = f
	}
	if ctx.Err() != nil {
		return plan.Errorf(plan.Interrupted, "interrupted")
	}
	return a.diagnosis(file, doctor.Examine(site))
}

func (a *app) unread(ctx context.Context, file string, err error) error {
	if ctx.Err() != nil {
		return plan.Errorf(plan.Interrupted, "interrupted")
	}
	return plan.Errorf(plan.FileError, "%s cannot be read: %w", file, err)
}

// diagnosis answers with what was found.
func (a *app) diagnosis(file string, found []doctor.Finding) error {
	base := filepath.Base(file)
	owner := plan.Site("nginx", ui.Clean(cmp.Or(strings.TrimSuffix(base, ".conf"), base)))
	doc := plan.ChecksDocument{FormatVersion: plan.FormatVersion, OK: len(found) == 0, Checks: []plan.Check{}}
	for _, f := range found {
		doc.Checks = append(doc.Checks, plan.Check{Owner: owner, Check: f.Check, Code: f.Code, Message: f.Message, File: f.File, Line: f.Line, Write: f.Write})
	}
	for _, r := range doctor.Rules() {
		if !slices.ContainsFunc(found, func(f doctor.Finding) bool { return f.Check == r.Name }) {
			doc.Checks = append(doc.Checks, plan.Check{Owner: owner, Check: r.Name, OK: true, Message: r.Doc, File: file})
		}
	}
	if a.documents() {
		if err := a.answer(doc); err != nil {
			return err
		}
	} else {
		ui.Checks(a.stdout, ui.StyleFor(a.stdout, a.lookupEnv), file, doc.Checks)
	}
	if !doc.OK {
		return exitStatus(exitPending)
	}
	return nil
}

// siteFiles reads what a site includes.
type siteFiles struct {
	ctx  context.Context
	read int // bytes
}

// errMuch ends the reading of a site that includes half a disk.
var errMuch = errors.New("the site and its includes are larger than 64 MB")

func (f *siteFiles) Read(path string) ([]byte, error) {
	if f.read > 16*mostOfSite {
		return nil, errMuch
	}
	text, _, err := input.Read(f.ctx, path, mostOfSite)
	f.read += len(text)
	return text, err
}

func (f *siteFiles) Glob(pattern string) ([]string, error) { return filepath.Glob(pattern) }
