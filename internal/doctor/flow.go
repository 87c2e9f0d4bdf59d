package doctor

import (
	"regexp"
	"slices"
	"strings"

	"mtlsplan/internal/nginxconf"
)

// value is what is known of a variable during a request.
type value struct {
	text  string
	known bool
	cert  bool // it depends on the certificate
}

// flow carries out the directives of ngx_http_rewrite_module in a request of somebody
// without a good certificate.
type flow struct {
	w      *ward
	up     *flow            // in the server, before it came to its location
	vars   map[string]value // variables that were set
	forged bool             // they have a certificate that they made themselves, else none
	mapped map[string]value // what maps give, until the next set

	refused bool
	checked []*nginxconf.Directive // each if that depends on the certificate
	skip    *nginxconf.Directive   // a rewrite before the first of these that may end the phase
	skipped bool                   // skip stands before the if that refuses
}

func (w *ward) newFlow(forged bool) *flow {
	return &flow{w: w, vars: map[string]value{}, forged: forged, mapped: map[string]value{}}
}

// into is the same request in a location, where it may set variables of its own.
func (f *flow) into() *flow {
	in := f.w.newFlow(f.forged)
	in.up = f
	in.refused, in.checked, in.skip, in.skipped = f.refused, slices.Clip(f.checked), f.skip, f.skipped
	return in
}

// run carries out a block of a server or location, and reports whether the request goes
// on.
func (f *flow) run(list []*nginxconf.Directive, inServer, sure bool) bool {
	for _, d := range list {
		switch d.Name {
		case "set":
			f.set(d, value{known: true}, sure)
		case "return":
			if sure {
				f.refused = true
				return false
			}
		case "break":
			return !sure
		case "rewrite":
			if last := d.Arg(2); last == "break" || last == "last" && inServer {
				f.skip = d
			}
		case "if":
			if !f.branch(d, inServer, sure) {
				return false
			}
		}
	}
	return true
}

func (f *flow) branch(d *nginxconf.Directive, inServer, sure bool) bool {
	yes := f.condition(d)
	if yes.cert {
		f.checked = append(f.checked, d)
	}
	switch {
	case yes.known && yes.text == "":
		f.depend(d.Block, yes)
		return true
	case yes.known:
		if ends(d.Block) && yes.cert {
			f.skipped = f.skip != nil
		}
		on := f.run(d.Block, inServer, sure)
		f.depend(d.Block, yes)
		return on
	case yes.cert && ends(d.Block): // for some requests, which the site has chosen
		f.refused, f.skipped = true, f.skip != nil
		return false
	}
	for _, s := range d.Block {
		if s.Name == "set" {
			f.set(s, yes, false)
		}
	}
	return true
}

// depend notes that variables depend on the certificate through a condition.
func (f *flow) depend(block []*nginxconf.Directive, on value) {
	for _, s := range block {
		if s.Name == "set" && on.cert {
			name := variable(s.Arg(0))
			v := f.variable(name)
			v.cert = true
			f.assign(name, v)
		}
	}
}

func ends(block []*nginxconf.Directive) bool {
	for _, d := range block {
		if d.Name == "return" {
			return true
		}
	}
	return false
}

// set gives a variable its value; where that is not sure, the two values are one that is
// unknown.
func (f *flow) set(d *nginxconf.Directive, on value, sure bool) {
	name := variable(d.Arg(0))
	v := f.text(d.Arg(1))
	if !sure || !on.known {
		before := f.variable(name)
		same := v.known && before.known && v.text == before.text
		v = value{v.text, same, v.cert || before.cert || on.cert}
	}
	f.assign(name, v)
}

func (f *flow) assign(name string, v value) {
	f.vars[name] = v
	clear(f.mapped)
}

func variable(arg string) string { return strings.ToLower(strings.TrimPrefix(arg, "$")) }

var reference = regexp.MustCompile(`\$(?:\{(\w+)\}|(\w+))`)

// longestText bounds what variables of variables come to.
const longestText = 1 << 16

// text is a string with its variables.
func (f *flow) text(s string) value {
	v := value{text: s, known: true}
	for _, m := range reference.FindAllStringSubmatch(s, -1) {
		x := f.variable(strings.ToLower(m[1] + m[2]))
		v.known = v.known && x.known
		v.cert = v.cert || x.cert
		v.text = strings.Replace(v.text, m[0], x.text, 1)
		if len(v.text) > longestText {
			return value{cert: v.cert}
		}
	}
	return v
}

func (f *flow) variable(name string) value {
	if v, ok := f.vars[name]; ok {
		return v
	}
	if f.up != nil {
		if v, ok := f.up.vars[name]; ok {
			return v
		}
		if len(f.vars) == 0 {
			return f.up.variable(name)
		}
	}
	switch {
	case name == "ssl_client_verify" && f.forged:
		return value{"FAILED:unable to verify the first certificate", true, true}
	case name == "ssl_client_verify":
		return value{"NONE", true, true}
	case name == "ssl_client_fingerprint" && f.forged: // nobody can choose it
		return value{strings.Repeat("0", 40), true, true}
	case strings.HasPrefix(name, "ssl_client_") && f.forged: // as they like: no check
		return value{}
	case strings.HasPrefix(name, "ssl_client_"):
		return value{"", true, true}
	}
	if v, ok := f.mapped[name]; ok {
		return v
	}
	if m := f.w.maps[name]; m != nil {
		f.mapped[name] = value{} // for a map that looks itself up
		v := f.fromMap(m)
		f.mapped[name] = v
		return v
	}
	return value{known: f.w.set[name]} // a variable of set is empty before
}

// index notes the maps and the variables of set in a site.
func (w *ward) index(list []*nginxconf.Directive) {
	for _, d := range list {
		switch d.Name {
		case "map":
			if d.Opens {
				w.maps[variable(d.Arg(1))] = d
			}
		case "set":
			w.set[variable(d.Arg(0))] = true
		}
		w.index(d.Block)
	}
}

// fromMap is what a map gives: ngx_http_map_find compares without regard to case, and
// tries regular expressions in their order.
func (f *flow) fromMap(m *nginxconf.Directive) value {
	from := f.text(m.Arg(0))
	out := value{known: true, cert: from.cert}
	matched, decided := "", false
	constant := map[string]bool{}
	if !slices.ContainsFunc(m.Block, func(e *nginxconf.Directive) bool { return e.Name == "default" }) {
		constant[""] = true
	}
	for _, e := range m.Block {
		to := f.text(e.Arg(0))
		parameter := len(e.Args) == 0 // hostnames, volatile
		if !parameter {
			out.cert = out.cert || to.cert
			constant[to.text] = to.known
		}
		switch {
		case parameter:
		case e.Name == "default":
			if !decided {
				out.text, out.known = to.text, to.known
			}
		case strings.EqualFold(strings.TrimPrefix(e.Name, `\`), from.text) && !strings.HasPrefix(e.Name, "~"):
			if matched != "exact" {
				out.text, out.known, decided, matched = to.text, to.known, true, "exact"
			}
		case strings.HasPrefix(e.Name, "~") && matched == "":
			switch yes := matches(e.Name[1:], from.text); {
			case !yes.known:
				from.known = false
			case yes.text != "":
				out.text, out.known, decided, matched = to.text, to.known, true, "pattern"
			}
		}
	}
	if from.known {
		return out
	}
	// Whatever is looked up, a map with one value gives it.
	return value{out.text, len(constant) == 1 && constant[out.text], out.cert}
}

// matches tries a pattern, which begins with "*" where case does not count. A pattern
// that Go does not know gives nothing.
func matches(pattern, text string) value {
	if rest, ok := strings.CutPrefix(pattern, "*"); ok {
		pattern = "(?i)" + rest
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return value{}
	}
	return truth(re.MatchString(text))
}

func truth(yes bool) value {
	if yes {
		return value{text: "1", known: true}
	}
	return value{known: true}
}

// condition is "" for false.
func (f *flow) condition(d *nginxconf.Directive) value {
	args := conditionOf(d)
	switch len(args) {
	case 1:
		v := f.text(args[0])
		yes := truth(v.text != "" && v.text != "0")
		return value{yes.text, v.known, v.cert}
	case 3:
		have, want := f.text(args[0]), value{text: args[2], known: true}
		var yes value
		switch op := args[1]; op {
		case "=", "!=":
			want = f.text(args[2])
			yes = truth((have.text == want.text) == (op == "="))
		case "~", "~*", "!~", "!~*":
			yes = matches(strings.TrimPrefix(strings.TrimPrefix(op, "!"), "~")+args[2], have.text)
			if yes.known && op[0] == '!' {
				yes = truth(yes.text == "")
			}
		}
		return value{yes.text, yes.known && have.known && want.known, have.cert || want.cert}
	}
	return value{}
}

// conditionOf has the words of an if without the brackets.
func conditionOf(d *nginxconf.Directive) (out []string) {
	for i, a := range d.Args {
		bare := i == 0
		if bare {
			a = strings.TrimPrefix(a, "(")
		}
		if i == len(d.Args)-1 {
			bare, a = true, strings.TrimSuffix(a, ")")
		}
		if a != "" || !bare {
			out = append(out, a)
		}
	}
	return out
}

// dependent are the variables that depend on those that seed names, through map and set.
func (w *ward) dependent(seed func(name string) bool) func(text string) bool {
	known := map[string]bool{}
	mentions := func(text string) bool {
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			if name := strings.ToLower(m[1] + m[2]); known[name] || seed(name) {
				return true
			}
		}
		return false
	}
	var visit func([]*nginxconf.Directive, bool) bool
	visit = func(list []*nginxconf.Directive, under bool) (more bool) {
		note := func(name string) {
			if !known[name] {
				known[name], more = true, true
			}
		}
		for _, d := range list {
			switch d.Name {
			case "map":
				yes := mentions(d.Arg(0))
				for _, e := range d.Block {
					yes = yes || mentions(e.Arg(0))
				}
				if yes {
					note(variable(d.Arg(1)))
				}
				continue
			case "set":
				if under || mentions(d.Arg(1)) {
					note(variable(d.Arg(0)))
				}
			}
			if visit(d.Block, under || d.Name == "if" && mentions(strings.Join(d.Args, " "))) {
				more = true
			}
		}
		return more
	}
	for visit(w.Directives, false) {
	}
	return mentions
}
