package ui

import (
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"mtlsplan/internal/plan"
	"mtlsplan/spec"
)

// Next is what is left to a person after an apply: the files to copy to where the
// sites name them, the reload, and who gets in until then. It
// names only what the run has changed, and is empty where nothing is left. path
// shortens an absolute path.
func Next(done []plan.Step, cfg *spec.Config, path func(string) string) []string {
	changed := map[plan.Owner]plan.Step{}
	shutOut := 0
	for _, s := range done {
		changed[s.Owner] = s
		switch {
		case isUser(s.Owner) && s.Revokes > 0:
			shutOut++
		case strings.HasPrefix(string(s.Owner), "ca."): // of a compromised generation
			shutOut += s.Revokes
		}
	}
	var lines []string
	if commands := toReload(changed, cfg, path); len(commands) > 0 {
		lines = append(lines, "Next, on the host that runs NGINX:")
		for _, c := range commands {
			lines = append(lines, "  "+Clean(c))
		}
		if shutOut > 0 {
			lines = append(lines, fmt.Sprintf("Until NGINX has reloaded, %s in with what this run revoked.", count(shutOut, "user still gets", "users still get")))
		}
	}
	return lines
}

// WhatIsLeft writes the lines of [Next] and [ToGive]. Commands, which are indented, stay on a line.
func WhatIsLeft(w io.Writer, st Style, lines []string) {
	for _, line := range lines {
		if !strings.HasPrefix(line, " ") {
			line = st.wrap(line, 0, indent)
		}
		fmt.Fprintln(w, line)
	}
}

// mostNames is how many users are named where nobody asked for a list.
const mostNames = 20

// ToGive is who must be given something new after an apply, a .p12 or, where the user
// keeps the key, a certificate, and the command for that; empty for nobody.
func ToGive(done []plan.Step, cfg *spec.Config, path func(string) string) []string {
	var imports, keepers []string
	for _, s := range done {
		issued := slices.Contains([]plan.Action{plan.Create, plan.Reissue, plan.Rekey}, s.Action) && slices.Contains(s.Artefacts, plan.KindCrt)
		switch {
		case s.Reimport:
			imports = append(imports, Clean(string(s.Owner)))
		case isUser(s.Owner) && issued: // a csr user
			keepers = append(keepers, Clean(string(s.Owner)))
		}
	}
	who := func(names []string) string {
		if len(names) > mostNames {
			return fmt.Sprintf("%d users, whom mtlsplan status lists", len(names))
		}
		return strings.Join(names, ", ")
	}
	var give []string
	if len(imports) > 0 {
		give = append(give, "Give a new .p12, and its passphrase by another channel, to "+who(imports))
	}
	if len(keepers) > 0 {
		give = append(give, "Give the new certificate, for the key that they have, to "+who(keepers))
	}
	if len(give) == 0 {
		return nil
	}
	file := ""
	if cfg.File != "mtlsplan.hcl" {
		file = shellWord(path(cfg.File)) + " "
	}
	give[len(give)-1] += ":"
	return append(give, "  mtlsplan handout "+Clean(file)+"--pending -o DIR")
}

// GiveInALog is what [ToGive] says with the command on the line that it belongs to.
func GiveInALog(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	last := len(lines) - 1
	return strings.Join(lines[:last], "\n") + " " + strings.TrimLeft(lines[last], " ")
}

// toReload are the commands after which the proxy works by the files that have
// changed; none where it reads none of them.
func toReload(changed map[plan.Owner]plan.Step, cfg *spec.Config, path func(string) string) []string {
	has := func(owner plan.Owner, kind plan.Kind) bool { return slices.Contains(changed[owner].Artefacts, kind) }
	ca := filepath.Join(cfg.Output, "ca."+cfg.CA.Name)
	crt, crl := has(plan.CA(cfg.CA.Name), plan.KindCrt), has(plan.CRL(cfg.CA.Name), plan.KindCRL)
	var commands []string
	add := func(command string) {
		if !slices.Contains(commands, command) {
			commands = append(commands, command)
		}
	}
	copied := func(from, to string) {
		if to != "" && to != from {
			add("install -m 0644 " + shellWord(path(from)) + " " + shellWord(to))
		}
	}
	reload := false
	for i := range cfg.Sites {
		s := &cfg.Sites[i]
		if s.Settings.Deploy.Site != "" {
			continue // apply has done it, or said what keeps it from it
		}
		owner := plan.Site(s.Proxy.Name, s.Name)
		if crt {
			copied(ca+".crt", s.Settings.ClientCA)
			reload = true
		}
		if crl && s.Settings.Revocation != "map" {
			copied(ca+".crl", s.Settings.CRL)
			reload = true
		}
		if has(owner, plan.KindSite) {
			const available = "/etc/nginx/sites-available/"
			copied(filepath.Join(cfg.Output, filepath.FromSlash(s.Settings.File)), available+s.Name)
			if changed[owner].Action == plan.Create {
				add("ln -sf " + available + shellWord(s.Name) + " /etc/nginx/sites-enabled/")
			}
			reload = true
		}
	}
	if reload {
		add("nginx -t && systemctl reload nginx")
	}
	return commands
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./@%+=:,-]+$`)

// shellWord writes a word so that a shell takes it as it is.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
