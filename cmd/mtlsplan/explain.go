package main

import (
	"slices"

	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
)

func (a *app) explainCmd() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "explain [FILE] OWNER",
		Short: "Print why apply would touch an owner or not, and what happens next",
		Long: `Prints what apply would do with an owner, every policy that is asked of it with
its answer and the files that it is about, and what happens next and when. OWNER
is a user, the CA, its CRL or a site, as in mmuser, user.mmuser, ca.mattermost,
crl.mattermost or nginx.mattermost. A user who is no longer in the spec is found
in the CA database, with what was revoked and the files that db/retired keeps.
No byte is changed.`,
		Example: `  mtlsplan explain mmuser                         # why a new key, for example
  mtlsplan explain staff.hcl user.ann --at +60d   # what it will be then
  mtlsplan explain crl.mattermost --format json | jq '.next[0].at'`,
		Args:              fileAndOneName,
		ValidArgsFunction: a.completeShow,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, name := fileAndName(args)
			if name == "" {
				return usageError("explain: %q is taken for the spec; give the OWNER after it", file)
			}
			cfg, err := a.loadSpec(cmd.Context(), file)
			if err != nil {
				return err
			}
			opt, err := a.options(cfg, runFlags{at: at}, "explain")
			if err != nil {
				return err
			}
			owner := plan.Owner(name)
			if all := engine.Owners(cfg); !slices.Contains(all, owner) {
				departed, err := engine.Departed(cmd.Context(), cfg, opt)
				if err != nil {
					return err
				}
				if owner, err = ownerNamed(cfg, departed, name, all[len(cfg.Users)+1:]...); err != nil {
					return err
				}
			}
			e, err := engine.Explain(cmd.Context(), cfg, opt, owner)
			if err != nil {
				return interruption(cmd, err, "interrupted")
			}
			if a.documents() {
				return a.answer(plan.NewExplainDocument(e))
			}
			ui.Explanation(a.stdout, ui.StyleFor(a.stdout, a.lookupEnv), e)
			return nil
		},
	}
	addDate(cmd, &at)
	return cmd
}
