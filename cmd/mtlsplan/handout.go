package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/input"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
	"mtlsplan/spec"
)

// handoutFlags are the flags of handout.
type handoutFlags struct {
	out         string
	pending     bool
	given       bool
	overwrite   bool
	template    string
	print       bool
	lockTimeout time.Duration
}

// templateMost is the longest template that is read, in bytes.
const templateMost = 1 << 20

func (a *app) handoutCmd() *cobra.Command {
	var f handoutFlags
	cmd := &cobra.Command{
		Use:   "handout [FILE] NAME... -o DIR",
		Short: "Write what users are given: the .p12, and a page that explains it",
		Long: `Writes DIR/NAME/ for each user: the .p12, index.html, which says in plain words
how to put it into a browser and how to remove the old one, and
NAME.mobileconfig for iPhone, iPad and Mac. A device of a user has a directory
of its own, DIR/NAME.DEVICE/. NAME is a user, with all devices, as in ann or
user.ann, a device, as in ann:laptop, or a pattern, as in 'user.a*',
whatever they were given before. With --pending, everybody is meant who has not
been handed out the newest; beside NAMEs, these come on top.

The passphrase is in none of the files: give it by another way.

What was handed out is remembered in db/handouts, and status tells it. A file
that lies there already and is another is never replaced without --overwrite.
With --given nothing is written: the users have what the directory holds.

--template FILE replaces the text of the page: a template in the language of
Go's html/template. It may define language, title, help and text anew, and what
stands outside of definitions replaces text. --print-template prints the page's
own to begin with. In a directory that was rehearsed in nothing is handed out.`,
		Example: `  mtlsplan handout ann -o given
  mtlsplan handout staff.hcl --pending -o given
  mtlsplan handout --print-template > page.html
  mtlsplan handout ann -o given --template page.html --overwrite
  mtlsplan handout --given 'user.*'           # they have it from elsewhere`,
		ValidArgsFunction: a.completeStatus,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.handout(cmd, args, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.out, "out", "o", "", "make the users' directories in `DIR`, which is made if it is missing")
	flags.BoolVar(&f.pending, "pending", false, "hand out to everybody who has not been handed out the newest, and to the NAMEs whether or not they have it")
	flags.BoolVar(&f.given, "given", false, "write nothing, and remember that the users have what the directory holds")
	flags.BoolVar(&f.overwrite, "overwrite", false, "replace files of an earlier handout")
	flags.StringVar(&f.template, "template", "", "take the text of the page from `TEMPLATE`")
	flags.BoolVar(&f.print, "print-template", false, "print the template of the page and do nothing else")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "do not say how far the work is")
	flags.DurationVar(&f.lockTimeout, "lock-timeout", 0, "wait up to `DURATION`, as in 30s, for another run to end")
	return cmd
}

func (a *app) handout(cmd *cobra.Command, args []string, f handoutFlags) error {
	if f.print {
		if a.documents() {
			return usageError("--print-template prints the template itself, and knows no --format")
		}
		_, err := fmt.Fprint(a.stdout, ui.HandoutTemplate())
		a.answered = true
		return err
	}
	file, names := fileAndNames(args)
	ask := engine.HandoutRequest{Pending: f.pending, Given: f.given, Overwrite: f.overwrite}
	switch {
	case len(names) == 0 && !f.pending:
		return usageError("handout: give the NAME of a user, or --pending for everybody who waits for the newest .p12")
	case f.out == "" && !f.given:
		return usageError("handout: give -o DIR, the directory in which the users' directories are made")
	case f.given && (f.out != "" || f.template != "" || f.overwrite):
		return usageError("--given writes nothing: leave out -o, --template and --overwrite")
	}
	text := ""
	if f.template != "" {
		data, _, err := input.Read(cmd.Context(), f.template, templateMost)
		if err != nil {
			return plan.Errorf(plan.FileError, "--template %s cannot be read: %w", f.template, cause(err))
		}
		text = string(data)
	}
	var err error
	if ask.Page, err = ui.HandoutPage(f.template, text); err != nil {
		return usageError("--template: %w", err)
	}
	cfg, err := a.loadSpec(cmd.Context(), file)
	if err != nil {
		return err
	}
	opt, err := a.options(cfg, runFlags{lockTimeout: f.lockTimeout}, "handout")
	if err != nil {
		return err
	}
	if ask.Owners, err = usersNamed(cfg, names); err != nil {
		return err
	}
	if f.out != "" {
		if ask.Dir, err = filepath.Abs(f.out); err != nil {
			return err
		}
	}
	bar := a.progress(&opt)
	if bar != nil {
		ask.Progress = bar.HandingOut
	}
	h, err := engine.Handout(cmd.Context(), cfg, opt, ask)
	bar.Close()
	if h != nil {
		style := ui.StyleFor(a.stderr, a.lookupEnv)
		ui.Notes(a.stderr, style, h.Notes)
		ui.Failures(a.stderr, style, h.Failures)
	}
	if err != nil {
		err = interruption(cmd, err, "interrupted: what was handed out is remembered; hand out again to go on")
	}
	switch {
	case h == nil:
		return err
	case a.documents():
		var stopped *plan.ErrorDetail
		if err != nil {
			detail := errorDetail(cmd.Context(), err)
			stopped = &detail
		}
		if err := a.answer(plan.NewHandoutDocument(h, stopped)); err != nil {
			return err
		}
	case err == nil || len(h.Done) > 0:
		ui.Handout(a.stdout, h, shortPath())
	}
	if err == nil && len(h.Failures) > 0 {
		err = exitStatus(exitIncomplete)
	}
	return err
}

// usersNamed are the users and devices of a spec that names stand for: a user, with all
// devices, a device, or a pattern of owners.
func usersNamed(cfg *spec.Config, names []string) (owners []plan.Owner, err error) {
	list, err := patterns("handout", names)
	if err != nil {
		return nil, err
	}
	for _, name := range list {
		full := name
		if !strings.HasPrefix(string(name), "user.") && !name.IsPattern() {
			full = plan.User(string(name))
		}
		before := len(owners)
		var known []plan.Owner
		for i := range cfg.Users {
			o := plan.User(cfg.Users[i].Name)
			known = append(known, o)
			if (o.Fits(full) || o.Person().Fits(full)) && !slices.Contains(owners[before:], o) {
				owners = append(owners, o)
			}
		}
		switch {
		case len(owners) > before:
		case name.IsPattern():
			return nil, plan.Errorf(plan.UnknownOwner, "%q: no user in %s fits this pattern", name, cfg.File)
		default:
			return nil, plan.Errorf(plan.UnknownOwner, "%s has no user %q%s", cfg.File, name, didYouMean(closest(strings.TrimPrefix(string(name), "user."), known)))
		}
	}
	return owners, nil
}
