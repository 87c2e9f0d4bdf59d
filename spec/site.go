package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"mtlsplan/internal/input"
	"mtlsplan/internal/pki"
	"mtlsplan/render"
	"mtlsplan/render/proxies"
)

func (l *loader) readSites(kinds map[string][]*hclsyntax.Block) {
	for _, p := range proxies.All {
		seen := map[string]hcl.Range{}
		for _, b := range kinds[p.Name] {
			l.readSite(p, b, seen)
		}
		l.checkSites(p)
	}
	for _, site := range l.cfg.Sites {
		l.tellsDN = l.tellsDN || site.Proxy.TellsDN(site.Settings)
	}
}

// siteReader reads one site.
type siteReader struct {
	*loader
	site   Site
	places map[string]hcl.Range // of what was said, by attribute as [render.Problem] names it
}

func (l *loader) readSite(p *render.Proxy, b *hclsyntax.Block, seen map[string]hcl.Range) {
	before, missing := len(l.diags), len(l.absent)
	r := siteReader{l, Site{Origin: b.DefRange(), Proxy: p}, map[string]hcl.Range{}}
	name, ok := l.label(b, seen)
	what := "A block of type " + p.Name
	var names []string
	for _, inner := range p.Blocks {
		names = append(names, inner.Name)
	}
	r.attributes(b.Body, b.DefRange(), "", what, p.Attributes, names)
	found := l.inner(b.Body, what, rowNames(p.Attributes), names)
	for _, inner := range p.Blocks {
		if in := found[inner.Name]; in != nil {
			what := "A block of type " + inner.Name
			r.attributes(in.Body, in.DefRange(), inner.Name+".", what, inner.Attributes, nil)
			l.inner(in.Body, what, rowNames(inner.Attributes), nil)
			r.places[inner.Name] = in.DefRange()
		}
	}
	sound := len(l.diags) == before
	if sound { // a contradiction may be due to a value that was reported
		for _, problem := range p.Check(r.site.Settings) {
			r.report(problem)
		}
	}
	if !ok {
		return
	}
	r.site.Name, r.site.Settings = name, p.Complete(name, r.site.Settings)
	if sound && len(l.absent) == missing {
		l.sound = append(l.sound, r)
	}
	l.cfg.Sites = append(l.cfg.Sites, r.site)
	l.siteBodies = append(l.siteBodies, b.Body)
}

func rowNames(rows []render.Attribute) []string {
	names := make([]string, len(rows))
	for i, a := range rows {
		names[i] = a.Name
	}
	return names
}

// attributes reads one body by the proxy's rows.
func (r *siteReader) attributes(body *hclsyntax.Body, header hcl.Range, prefix, what string, rows []render.Attribute, blocks []string) {
	for name, attr := range body.Attributes {
		if !slices.ContainsFunc(rows, func(a render.Attribute) bool { return a.Name == name }) {
			r.unknownAttribute(attr, what, rowNames(rows), blocks)
		}
	}
	for _, row := range rows {
		row.SetDefault(&r.site.Settings)
		attr := body.Attributes[row.Name]
		if attr == nil {
			if row.Required && !tried(body, row.Name) {
				r.missing(header, "Missing attribute", fmt.Sprintf("%s needs the attribute %s: %s", what, row.Name, strings.ToLower(row.Doc[:1])+row.Doc[1:]))
			}
			continue
		}
		if v, ok := r.literal(attr.Expr); ok && r.fill(row, v) {
			r.places[prefix+row.Name] = v.at
		}
	}
}

// fill puts a value where its row says. It returns false after a problem.
func (r *siteReader) fill(row render.Attribute, v value) bool {
	switch field := row.Field(&r.site.Settings).(type) {
	case *bool:
		b := r.boolean(v)
		if b.set {
			*field = b.value
		}
		return b.set
	case *[]string:
		texts, ok := r.texts(row, v)
		if ok {
			*field = texts
		}
		return ok
	case *map[string]string:
		members, ok := r.members(row, v)
		if ok {
			*field = members
		}
		return ok
	case *string:
		ok := r.is(v, text, "put it in double quotes") && r.word(row, v)
		if ok {
			*field = v.text
		}
		return ok
	}
	panic("the attribute " + row.Name + " fills a field of another type")
}

func (r *siteReader) texts(row render.Attribute, v value) ([]string, bool) {
	if !r.is(v, list, `put brackets around it, as in ["…"]`) {
		return nil, false
	}
	out, good := []string{}, true
	for _, e := range v.list {
		good = r.is(e, text, "put it in double quotes") && r.word(row, e) && good
		out = append(out, e.text)
	}
	return out, good
}

// members reads an object whose names differ without regard to case.
func (r *siteReader) members(row render.Attribute, v value) (map[string]string, bool) {
	if !r.is(v, object, `write names and values in braces, as in { "X-Email" = "email" }`) {
		return nil, false
	}
	out, good, seen := map[string]string{}, true, map[string]bool{}
	for _, m := range v.members {
		if err := row.Check(m.name); err != nil {
			r.error(m.at, "Unusable name", sentence(err.Error()))
			good = false
		}
		if seen[strings.ToLower(m.name)] {
			r.error(m.at, "Name given twice", "Upper and lower case make no difference here. Remove one of the two.")
			good = false
		}
		seen[strings.ToLower(m.name)] = true
		good = r.is(m.value, text, "put it in double quotes") && r.oneOf(row, m.value) && good
		out[m.name] = m.value.text
	}
	return out, good
}

func (r *siteReader) word(row render.Attribute, v value) bool {
	if !r.oneOf(row, v) {
		return false
	}
	if row.Check != nil {
		if err := row.Check(v.text); err != nil {
			r.error(v.at, "Unusable value", sentence(err.Error()))
			return false
		}
	}
	return true
}

// oneOf holds a value against the words of its row.
func (r *siteReader) oneOf(row render.Attribute, v value) bool {
	if len(row.Words) == 0 || slices.Contains(row.Words, v.text) {
		return true
	}
	r.error(v.at, "Unknown value", fmt.Sprintf("%s cannot be %q. %s", row.Name, v.text, didYouMean(v.text, row.Words)))
	return false
}

func (r *siteReader) report(problem render.Problem) {
	at, ok := r.places[problem.Attribute]
	if !ok {
		at = r.site.Origin
	}
	severity := hcl.DiagError
	if problem.Warning {
		severity = hcl.DiagWarning
	}
	r.diags = append(r.diags, &hcl.Diagnostic{Severity: severity, Summary: problem.Summary, Detail: problem.Detail, Subject: &at})
}

// checkSites asks the proxy for contradictions between its sites.
func (l *loader) checkSites(p *render.Proxy) {
	read := l.sound
	l.sound = nil
	sites := make([]render.Site, len(read))
	for i, r := range read {
		sites[i] = render.Site{Name: r.site.Name, Settings: r.site.Settings}
	}
	for _, problem := range p.CheckAll(sites) {
		read[problem.Site].report(problem.Problem)
	}
}

// checkGroups warns of a group that lets nobody in, and of users whom it does not let in
// because theirs has another spelling.
func (l *loader) checkGroups() {
	if l.diags.HasErrors() {
		return // the groups of a user may be among what could not be read
	}
	known := map[string]string{} // the first user of each
	for i := range l.cfg.Users {
		for _, g := range l.cfg.Users[i].Groups {
			if known[g] == "" {
				known[g] = l.cfg.Users[i].Name
			}
		}
	}
	for i, site := range l.cfg.Sites {
		attr := l.siteBodies[i].Attributes["allow_groups"]
		if attr == nil {
			continue
		}
		for _, g := range site.Settings.AllowGroups {
			warn := func(summary, detail string) {
				at := attr.Expr.Range()
				l.diags = append(l.diags, &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: summary, Detail: detail, Subject: &at})
			}
			if known[g] != "" {
				for _, other := range slices.Sorted(maps.Keys(known)) {
					if strings.EqualFold(other, g) && !slices.Contains(site.Settings.AllowGroups, other) {
						warn("Group in another spelling", fmt.Sprintf("%q does not let in the users of the group %q, such as %s: upper and lower case make a difference. If it is one group, spell it alike for all users; if they may come in as well, name both.", g, other, known[other]))
					}
				}
				continue
			}
			detail := fmt.Sprintf("No user is in the group %q, so it lets nobody in. ", g)
			if s := suggest(g, slices.Sorted(maps.Keys(known))); s != "" {
				detail += fmt.Sprintf("Did you mean %q?", s)
			} else {
				detail += fmt.Sprintf("Set groups = [%q] for those users, or remove it here.", g)
			}
			warn("Group without users", detail)
		}
	}
}

// checkOutput is [CheckOutput] of the spec's own one.
func (l *loader) checkOutput() {
	at := l.file.output.at
	if !l.top["output"] && len(l.cfg.Sites) > 0 {
		at = l.cfg.Sites[0].Origin
	}
	if err := CheckOutput(l.cfg); err != nil {
		l.error(at, "Output that a site cannot name", sentence(err.Error()))
	}
}

// CheckOutput refuses an output directory that a site of the spec has to name and
// cannot, because NGINX, say, would read its path as something else.
func CheckOutput(cfg *Config) error {
	for _, site := range cfg.Sites {
		if unset, err := site.Proxy.CheckOutput(site.Settings, cfg.Output); err != nil {
			return fmt.Errorf("the site %s.%s would read files in %q. %w Choose another directory, or set %s in the site: the path at which the proxy's host has that file",
				site.Proxy.Name, site.Name, cfg.Output, err, strings.Join(unset, " and "))
		}
		for _, t := range site.Settings.Deploy.Targets() {
			if input.Within(t.Path, cfg.Output) {
				return fmt.Errorf("the site %s.%s would put a copy at %s, in the output directory itself. Name a path outside of it for %s in deploy",
					site.Proxy.Name, site.Name, t.Path, t.Attribute)
			}
		}
	}
	return nil
}

// checkSiteFiles keeps sites from lying where other files of the output
// directory lie. The files of users and CA never meet: a name before "-CA." is
// one user's, and a CA's files begin with "ca.CA.".
func (l *loader) checkSiteFiles() {
	seen := map[string]hcl.Range{}
	for i, site := range l.cfg.Sites {
		at := site.Origin
		if a := l.siteBodies[i].Attributes["file"]; a != nil {
			at = a.Expr.Range()
		}
		var own []string
		for _, name := range site.Proxy.Files(site.Settings) {
			file := strings.ToLower(name)
			if what := l.owned(file); what != "" {
				l.error(at, "Path of another file", fmt.Sprintf("In the output directory this path belongs to %s. Put the site elsewhere: where file is left out, it is %s/%s.", what, site.Proxy.Name, site.Name))
			}
			for other, first := range seen {
				if file == other || strings.HasPrefix(file, other+"/") || strings.HasPrefix(other, file+"/") {
					l.error(at, "Path of another file", fmt.Sprintf("The site %s is written to %s, and the two would be in each other's way. Give one of them another file.", place(first), other))
				}
			}
			own = append(own, file)
		}
		for _, file := range own {
			seen[file] = at
		}
	}
}

// owned is the owner of a path in lower case, "" for a path that is free.
func (l *loader) owned(file string) string {
	first, _, nested := strings.Cut(file, "/")
	if first == "db" {
		return "the CA database"
	}
	if first == "secrets" {
		return "the generated passphrases"
	}
	if nested {
		file = first // nothing can stand below the path of a file either
	}
	ca := strings.ToLower(l.cfg.CA.Name)
	if rest, ok := strings.CutPrefix(file, "ca."+ca+"."); ok && slices.Contains([]string{"key", "crt", "crl"}, rest) {
		return "the CA"
	}
	endings := []string{"key", "csr", "crt"}
	for _, p := range pki.Profiles {
		endings = append(endings, p.Ending(true), p.Ending(false))
	}
	for _, ending := range endings {
		name, ok := strings.CutSuffix(file, "-"+ca+"."+ending)
		if _, user := l.users[name]; ok && user {
			return "a user"
		}
	}
	return ""
}
