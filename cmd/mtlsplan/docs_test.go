package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
	"mtlsplan/render"
	"mtlsplan/render/proxies"
	"mtlsplan/spec"
)

const refresh = "MTLSPLAN_UPDATE=1 go test ./cmd/mtlsplan -run TestDocs"

// TestDocs compares the reference and the manual page with the program's own tables. With
// MTLSPLAN_UPDATE it writes them from these tables.
func TestDocs(t *testing.T) {
	root := documentedRoot()
	md := &markdown{}
	md.heading(1, "Reference")
	md.para("Made from the program's own tables: `" + refresh + "`. The same text is in the manual page mtlsplan(1).")
	reference(md, root)

	man := &manual{}
	man.WriteString(".TH MTLSPLAN 1 \"\" \"mtlsplan\" \"User Commands\"\n.nh\n.ad l\n")
	man.heading(2, "Name")
	man.WriteString("mtlsplan \\- " + roff(root.Short) + "\n")
	man.heading(2, "Synopsis")
	man.para("`mtlsplan` COMMAND [FLAG...] [FILE]")
	man.heading(2, "Description")
	man.para(root.Long)
	reference(man, root)
	man.heading(2, "See also")
	man.para("`openssl`(1), `openssl-ca`(1), `nginx`(8)")

	for name, p := range map[string]page{"reference.md": md, "mtlsplan.1": man} {
		path := filepath.Join(repo, "docs", name)
		want := strings.TrimRight(p.String(), "\n") + "\n"
		if os.Getenv("MTLSPLAN_UPDATE") != "" {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Error(err)
			}
			continue
		}
		have, err := os.ReadFile(path)
		if err != nil || string(have) != want {
			t.Errorf("docs/%s is stale; run\n\t%s", name, refresh)
		}
	}
}

// documentedRoot is the command tree with the commands and flags that cobra adds in a run.
func documentedRoot() *cobra.Command {
	root := (&app{}).rootCmd()
	root.InitDefaultHelpCmd()
	return root
}

func reference(p page, root *cobra.Command) {
	commandDocs(p, root)
	exitCodeDocs(p)
	environmentDocs(p)
	specDocs(p)
	planDocs(p)
	documentDocs(p)
	fileDocs(p)
}

func commandDocs(p page, root *cobra.Command) {
	p.heading(2, "Commands")
	p.para("FILE is the spec, `" + defaultSpec + "` when it is not given. These flags are every command's:")
	flagTable(p, root.PersistentFlags())
	for _, cmd := range root.Commands() {
		p.heading(3, strings.TrimPrefix(cmd.UseLine(), "mtlsplan "))
		p.para(cmd.Long)
		if cmd.LocalFlags().HasAvailableFlags() {
			flagTable(p, cmd.LocalFlags())
		}
		if cmd.HasExample() {
			p.code(unindented(cmd.Example))
		}
	}
}

func flagTable(p page, flags *pflag.FlagSet) {
	var rows [][]string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		value, doc := pflag.UnquoteUsage(f)
		initial := ""
		if f.Value.Type() == "string" && f.DefValue != "" {
			initial = "`" + f.DefValue + "`"
		}
		rows = append(rows, []string{strings.TrimSpace("--" + f.Name + " " + value), initial, doc})
	})
	if len(rows) > 0 {
		p.table([]string{"flag", "default", "meaning"}, rows)
	}
}

func unindented(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n  ", "\n"), "  ")
}

func exitCodeDocs(p page) {
	p.heading(2, "Exit status")
	var rows [][]string
	for _, e := range exitDocs {
		rows = append(rows, []string{fmt.Sprint(e.code), e.doc})
	}
	p.table([]string{"code", "meaning"}, rows)
	p.para(exitOrder)
}

func environmentDocs(p page) {
	p.heading(2, "Environment")
	p.table([]string{"variable", "meaning"}, [][]string{
		{"NO_COLOR", "If set to anything but the empty string, there is no colour."},
		{"TERM", "`dumb`: no colour and no progress bar. Neither is ever written to anything but a terminal."},
		{"PATH", "Where the programs of `passphrase = { command = [...] }` and of rosters are found."},
	})
	p.para("A spec may name further variables, in `{ env = \"NAME\" }`.")
}

func specDocs(p page) {
	p.heading(2, "The spec")
	p.para("A spec is written in HCL. A block or attribute that is not listed below is an error.")
	for _, b := range spec.Reference() {
		p.heading(3, blockTitle(b))
		if text := b.Doc; text != "" {
			p.para(text)
		}
		var rows [][]string
		for _, a := range b.Attributes {
			rows = append(rows, []string{a.Name, a.Default, a.Doc})
		}
		p.table([]string{"attribute", "default", "meaning"}, rows)
		if b.Name == "roster" {
			rosterDocs(p)
		}
	}
	for _, proxy := range proxies.All {
		p.heading(3, proxy.Name+" NAME")
		p.para(proxy.Doc)
		settingTable(p, proxy.Attributes)
		for _, b := range proxy.Blocks {
			p.heading(3, b.Name+", in "+proxy.Name)
			p.para(b.Doc)
			settingTable(p, b.Attributes)
		}
	}
}

func blockTitle(b spec.BlockDoc) string {
	title := b.Name
	if title == "" {
		return "The file itself"
	}
	if b.Labeled {
		title += " NAME"
	}
	if len(b.In) > 0 {
		title += ", in " + orList(b.In)
	}
	return title
}

func settingTable(p page, settings []render.Attribute) {
	var rows [][]string
	for _, s := range settings {
		initial := ""
		switch {
		case s.Required:
			initial = "required"
		case s.Default != nil:
			initial = "`" + hclText(s.Default) + "`"
		}
		doc := s.Doc
		if len(s.Words) > 0 {
			doc += " One of `" + strings.Join(s.Words, "`, `") + "`."
		}
		rows = append(rows, []string{s.Name, initial, doc})
	}
	p.table([]string{"attribute", "default", "meaning"}, rows)
}

// hclText writes a default in the syntax of a spec.
func hclText(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case []string:
		var quoted []string
		for _, s := range v {
			quoted = append(quoted, fmt.Sprintf("%q", s))
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	return fmt.Sprint(v)
}

func planDocs(p page) {
	p.heading(2, "The plan")
	p.para("A plan is a list of steps, at most one for each owner: `ca.NAME`, `crl.NAME`, `user.NAME`, `nginx.NAME`. The deployment of a site is a step of its own. " +
		"A step has one action and all the reasons for it; the strongest reason decides the action.")
	var actions, codes [][]string
	for _, a := range ui.Actions() {
		actions = append(actions, []string{string(a.Action), "`" + a.Symbol + "`", a.Doc})
	}
	for _, c := range plan.Codes() {
		codes = append(codes, []string{string(c.Code), c.Action, c.Doc})
	}
	p.heading(3, "Actions")
	p.table([]string{"action", "symbol", "meaning"}, actions)
	p.heading(3, "Reasons")
	p.para("Their codes are stable, like those of notes, failures and errors: scripts may match them. Strongest first.")
	p.table([]string{"code", "leads to", "meaning"}, codes)
	p.heading(3, "Notes")
	p.para("A note changes nothing.")
	codeTable(p, plan.NoteCodes())
	p.heading(3, "Failures")
	p.para("An owner that fails is left as it was, and the others go on (exit status 3).")
	codeTable(p, plan.FailureCodes())
	p.heading(2, "Errors")
	p.para("An error ends the run. It may also have the code of a failure, with exit status 1.")
	var errs [][]string
	for _, c := range plan.ErrorCodes() {
		errs = append(errs, []string{string(c.Code), fmt.Sprint(statusOf(c.Code)), c.Doc})
	}
	p.table([]string{"code", "exit status", "meaning"}, errs)
	p.heading(2, "The gate")
	p.para("What `try` answers to a visitor. Its document is the one called visit below.")
	codeTable(p, plan.VisitCodes())
}

func codeTable(p page, codes []plan.CodeDoc) {
	var rows [][]string
	for _, c := range codes {
		rows = append(rows, []string{string(c.Code), c.Doc})
	}
	p.table([]string{"code", "meaning"}, rows)
}
