package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
	"mtlsplan/spec"
)

func (a *app) showCmd() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "show [FILE] NAME",
		Short: "Print one user or CA in full",
		Long: `Prints what openssl x509 -text shows of the certificate, and beside it the files
of the owner, when the user was handed them out, the rows of the CA database and
what apply would do. NAME is a
user or the CA, as in mmuser or user.mmuser, mattermost or ca.mattermost, or a
device of a user, as in mmuser:laptop. A user who is no longer in the spec is
found in the CA database.`,
		Example: `  mtlsplan show mmuser
  mtlsplan show staff.hcl ca.mattermost
  mtlsplan show mmuser --format json | jq -r '.issued[].serial'`,
		Args:              fileAndOneName,
		ValidArgsFunction: a.completeShow,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, name := fileAndName(args)
			if name == "" {
				return usageError("show: %q is taken for the spec; give the NAME of a user or CA after it", file)
			}
			cfg, err := a.loadSpec(cmd.Context(), file)
			if err != nil {
				return err
			}
			opt, err := a.options(cfg, runFlags{at: at}, "show")
			if err != nil {
				return err
			}
			owner, err := ownerNamed(cfg, nil, name)
			if err != nil {
				departed, unread := engine.Departed(cmd.Context(), cfg, opt)
				if unread != nil {
					return unread
				}
				owner, err = ownerNamed(cfg, departed, name)
			}
			if err != nil {
				return err
			}
			details, err := engine.Inspect(cmd.Context(), cfg, opt, owner)
			if err != nil {
				return interruption(cmd, err, "interrupted")
			}
			if a.documents() {
				return a.answer(ui.ShowDocument(details))
			}
			return ui.Details(a.stdout, ui.StyleFor(a.stdout, a.lookupEnv), details, opt.Now)
		},
	}
	addDate(cmd, &at)
	return cmd
}

// ownerNamed finds a user or the CA by owner or by bare name, also among users who
// have departed. An owner in full is never ambiguous; those of other kinds, which may be
// asked for too, have to be.
func ownerNamed(cfg *spec.Config, departed []plan.Owner, name string, others ...plan.Owner) (plan.Owner, error) {
	known := []plan.Owner{plan.Owner("ca." + cfg.CA.Name)}
	found := []plan.Owner{}
	if name == cfg.CA.Name {
		found = append(found, known[0])
	}
	for _, u := range cfg.Users {
		owner := plan.Owner("user." + u.Name)
		known = append(known, owner)
		if name == u.Name {
			found = append(found, owner)
		}
	}
	for _, owner := range departed {
		known = append(known, owner)
		if plan.User(name) == owner {
			found = append(found, owner)
		}
	}
	kind := "a user or CA"
	if len(others) > 0 {
		kind, known = "an owner", append(known, others...)
	}
	switch {
	case slices.Contains(known, plan.Owner(name)):
		return plan.Owner(name), nil
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", plan.Errorf(plan.UnknownOwner, "%q is more than one owner in %s; give %s", name, cfg.File, orList(found))
	}
	if names := devicesOf(plan.User(strings.TrimPrefix(name, "user.")), cfg); names != nil {
		for i := range names {
			names[i] = names[i][len("user."):]
		}
		return "", plan.Errorf(plan.UnknownOwner, "%s has a certificate for each device: name one of them, %s", strings.TrimPrefix(name, "user."), orList(names))
	}
	return "", plan.Errorf(plan.UnknownOwner, "neither %s nor its CA database has %s %q%s", cfg.File, kind, name, didYouMean(closest(name, known)))
}

// devicesOf are the owners of a user's devices, nil for none.
func devicesOf(user plan.Owner, cfg *spec.Config) (devices []plan.Owner) {
	for i := range cfg.Users {
		if o := plan.User(cfg.Users[i].Name); o != user && o.Person() == user {
			devices = append(devices, o)
		}
	}
	return devices
}

func fileAndOneName(_ *cobra.Command, args []string) error {
	switch len(args) {
	case 1, 2:
		return nil
	case 0:
		return errors.New("give the NAME of a user or CA")
	}
	return fmt.Errorf("takes one FILE and one NAME, not %d arguments", len(args))
}

// completeShow offers the users and the CA of the spec, and specs.
func (a *app) completeShow(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeOwners(cmd.Context(), args), cobra.ShellCompDirectiveDefault
}
