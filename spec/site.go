package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"mtlsplan/render"
)

func (l *loader) readSites(kinds map[string][]*hclsyntax.Block) {
	for _, p := range render.Proxies {
		seen := map[string]hcl.Range{}
		for _, b := range kinds[p.Name] {
			l.readSite(p, b, seen)
		}
		l.checkSites(p)
	}
	for _, site := range l.cfg.Sites {
		l.identityHeaders = l.identityHeaders || site.Values.Bool("identity_headers")
	}
}

// siteReader reads the settings of one site.
type siteReader struct {
	*loader
	values render.Values
	places map[string]hcl.Range // of what was said, by the keys of values
	header hcl.Range
}

func (l *loader) readSite(p *render.Proxy, b *hclsyntax.Block, seen map[string]hcl.Range) {
	before, missing := len(l.diags), len(l.absent)
	r := siteReader{l, render.Values{}, map[string]hcl.Range{}, b.DefRange()}
	name, ok := l.label(b, seen)
	what := "A block of type " + p.Name
	var names []string
	for _, inner := range p.Blocks {
		names = append(names, inner.Name)
	}
	r.settings(b.Body, b.DefRange(), "", what, p.Settings, names)
	found := l.inner(b.Body, what, settingNames(p.Settings), names)
	for _, inner := range p.Blocks {
		if in := found[inner.Name]; in != nil {
			what := "A block of type " + inner.Name
			r.settings(in.Body, in.DefRange(), inner.Name+".", what, inner.Settings, nil)
			l.inner(in.Body, what, settingNames(inner.Settings), nil)
			l.uses(inner.Name, in.DefRange())
		}
	}
	if len(l.diags) == before { // a contradiction may be due to a value that was reported
		r.check(p)
		if ok && len(l.absent) == missing {
			l.sound = append(l.sound, namedSite{name, r})
		}
	}
	if ok {
		l.cfg.Sites = append(l.cfg.Sites, Site{Name: name, Origin: b.DefRange(), Proxy: p, Values: r.values})
		l.siteBodies = append(l.siteBodies, b.Body)
	}
}

func settingNames(rows []render.Setting) []string {
	names := make([]string, len(rows))
	for i, s := range rows {
		names[i] = s.Name
	}
	return names
}

// settings reads one body by the proxy's rows.
func (r siteReader) settings(body *hclsyntax.Body, header hcl.Range, prefix, what string, rows []render.Setting, blocks []string) {
	for name, attr := range body.Attributes {
		if !slices.ContainsFunc(rows, func(s render.Setting) bool { return s.Name == name }) {
			r.unknownAttribute(attr, what, settingNames(rows), blocks)
		}
	}
	for _, row := range rows {
		key := prefix + row.Name
		if row.Default != nil {
			r.values[key] = row.Default
		}
		attr := body.Attributes[row.Name]
		if attr == nil {
			if row.Required && !tried(body, row.Name) {
				r.missing(header, "Missing attribute", fmt.Sprintf("%s needs the attribute %s: %s", what, row.Name, strings.ToLower(row.Doc[:1])+row.Doc[1:]))
			}
			continue
		}
		if v, ok := r.literal(attr.Expr); ok {
			if parsed := r.setting(row, v); parsed != nil {
				r.values[key], r.places[key] = parsed, v.at
			}
		}
	}
}

// setting returns the value as [render.Values] holds it, nil after a problem.
func (r siteReader) setting(row render.Setting, v value) any {
	switch row.Type {
	case render.Bool:
		if b := r.boolean(v); b.set {
			return b.value
		}
	case render.Strings:
		return r.texts(row, v)
	default:
		if r.is(v, text, "put it in double quotes") && r.word(row, v) {
			return v.text
		}
	}
	return nil
}

func (r siteReader) texts(row render.Setting, v value) any {
	if !r.is(v, list, `put brackets around it, as in ["…"]`) {
		return nil
	}
	out, good := []string{}, true
	for _, e := range v.list {
		good = r.is(e, text, "put it in double quotes") && r.word(row, e) && good
		out = append(out, e.text)
	}
	if !good {
		return nil
	}
	return out
}

func (r siteReader) word(row render.Setting, v value) bool {
	if len(row.Words) > 0 && !slices.Contains(row.Words, v.text) {
		r.error(v.at, "Unknown value", fmt.Sprintf("%s cannot be %q. %s", row.Name, v.text, didYouMean(v.text, row.Words)))
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

// check asks the proxy for contradictions between settings.
func (r siteReader) check(p *render.Proxy) {
	if p.Check == nil {
		return
	}
	for _, problem := range p.Check(r.values) {
		r.report(problem)
	}
}

func (r siteReader) report(problem render.Problem) {
	at, ok := r.places[problem.Setting]
	if !ok {
		at = r.header
	}
	severity := hcl.DiagError
	if problem.Warning {
		severity = hcl.DiagWarning
	}
	r.diags = append(r.diags, &hcl.Diagnostic{Severity: severity, Summary: problem.Summary, Detail: problem.Detail, Subject: &at})
}

// namedSite is a site of which every value could be read.
type namedSite struct {
	name string
	siteReader
}

// checkSites asks the proxy for contradictions between its sites.
func (l *loader) checkSites(p *render.Proxy) {
	sites := l.sound
	l.sound = nil
	if p.CheckAll == nil {
		return
	}
	named := make([]render.Named, len(sites))
	for i, s := range sites {
		named[i] = render.Named{Name: s.name, Values: s.values}
	}
	for _, problem := range p.CheckAll(named) {
		sites[problem.Site].report(problem.Problem)
	}
}

// checkSiteFiles keeps sites from lying where other files of the output
// directory lie. The files of users and CA never meet: what stands before
// "-CA." is one user's name, and a CA's files begin with "ca.CA.".
func (l *loader) checkSiteFiles() {
	seen := map[string]hcl.Range{}
	for i, site := range l.cfg.Sites {
		at := site.Origin
		if a := l.siteBodies[i].Attributes["file"]; a != nil {
			at = a.Expr.Range()
		}
		file := strings.ToLower(site.Proxy.File(site.Name, site.Values))
		if what := l.owned(file); what != "" {
			l.error(at, "Path of another file", fmt.Sprintf("In the output directory this path belongs to %s. Put the site elsewhere: where file is left out, it is %s/%s.", what, site.Proxy.Name, site.Name))
		}
		for other, first := range seen {
			if file == other || strings.HasPrefix(file, other+"/") || strings.HasPrefix(other, file+"/") {
				l.error(at, "Path of another file", fmt.Sprintf("The site %s is written to %s, and the two would be in each other's way. Give one of them another file.", place(first), other))
			}
		}
		seen[file] = at
	}
}

// owned says whom a path in lower case belongs to, "" when to nobody.
func (l *loader) owned(file string) string {
	first, _, nested := strings.Cut(file, "/")
	if first == "db" {
		return "the CA database"
	}
	if first == "secrets" {
		return "the generated passphrases"
	}
	if nested {
		file = first // what stands below a file's path is in its way, too
	}
	ca := strings.ToLower(l.cfg.CA.Name)
	if rest, ok := strings.CutPrefix(file, "ca."+ca+"."); ok && slices.Contains([]string{"key", "crt", "crl"}, rest) {
		return "the CA"
	}
	for _, ending := range []string{".key", ".csr", ".crt", ".p12", ".modern.p12", ".compat.p12"} {
		name, ok := strings.CutSuffix(file, "-"+ca+ending)
		if _, user := l.users[name]; ok && user {
			return "a user"
		}
	}
	return ""
}
