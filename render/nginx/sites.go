package nginx

import (
	"fmt"
	"slices"
	"strings"

	"mtlsplan/render"
)

// checkSites finds sites that would be in each other's way in one NGINX.
func checkSites(sites []render.Site) []render.SiteProblem {
	return slices.Concat(sameServer(sites), sameTarget(sites), manyVariables(sites))
}

// sameTarget finds deployments that would write over each other: a CA and its CRL are
// the same for all sites of a spec, and nothing else is.
func sameTarget(sites []render.Site) []render.SiteProblem {
	type user struct {
		site      int
		attribute string
	}
	var out []render.SiteProblem
	users := map[string]user{}
	for i, s := range sites {
		for _, t := range s.Deploy.Targets() {
			first, taken := users[t.Path]
			if !taken {
				users[t.Path] = user{i, t.Attribute}
			} else if t.Attribute == "site" || first.attribute != t.Attribute {
				out = append(out, render.SiteProblem{Site: i, Problem: problem{Attribute: "deploy." + t.Attribute, Summary: "Path of another copy",
					Detail: fmt.Sprintf("The site %q has %q in deploy.%s already, and one copy would write over the other. Give one of them another path.", sites[first.site].Name, t.Path, first.attribute)}})
			}
		}
	}
	return out
}

// use is the addresses of one attribute, which speak TLS or plain HTTP.
type use struct {
	attribute, opposite string // listen and redirect_from, or the other way round
	tls                 bool
	addresses           []string
}

func uses(s render.Site) []use {
	return []use{
		{"listen", "redirect_from", true, s.Listen},
		{"redirect_from", "listen", false, s.RedirectFrom},
	}
}

// sameServer finds requests that two sites claim. NGINX would warn of a
// "conflicting server name" and never use one of the two.
func sameServer(sites []render.Site) []render.SiteProblem {
	type server struct{ address, name string }
	type user struct {
		site int
		tls  bool
	}
	var out []render.SiteProblem
	servers, users := map[server]int{}, map[string]user{}
	for i, s := range sites {
		shared := false // reported once a site
		for _, u := range uses(s) {
			for _, listen := range u.addresses {
				address := listenKey(listen)
				if first, taken := users[address]; !taken {
					users[address] = user{i, u.tls}
				} else if first.tls != u.tls && first.site != i {
					out = append(out, render.SiteProblem{Site: i, Problem: problem{Attribute: u.attribute, Summary: "Address of another site",
						Detail: fmt.Sprintf("The site %q has %q in %s already, and an address speaks either TLS or plain HTTP. Give one of the two sites another port.",
							sites[first.site].Name, listen, u.opposite)}})
					continue
				} else if sites[first.site].ProxyProtocol != s.ProxyProtocol && !shared {
					shared = true
					out = append(out, render.SiteProblem{Site: i, Problem: problem{Attribute: "proxy_protocol", Summary: "Address of another site",
						Detail: fmt.Sprintf("The site %q has %q in %s, too, and is %s. NGINX expects the PROXY protocol's header from everybody on an address or from nobody. Give both sites the same proxy_protocol, or one of them another port.",
							sites[first.site].Name, listen, u.attribute, behind(sites[first.site].ProxyProtocol))}})
				}
				for _, name := range s.ServerNames {
					key := server{address, strings.ToLower(name)}
					if first, taken := servers[key]; !taken {
						servers[key] = i
					} else if first != i && !shared {
						shared = true
						out = append(out, render.SiteProblem{Site: i, Problem: problem{Attribute: "server_name", Summary: "Server name of another site",
							Detail: fmt.Sprintf("The site %q answers to %q on %q already. NGINX would use one of the two and ignore the other with all its rules. Give this site another name or another address in %s.",
								sites[first].Name, name, listen, u.attribute)}})
					}
				}
			}
		}
	}
	return out
}

func behind(balancer bool) string {
	if balancer {
		return "behind a load balancer"
	}
	return "not behind a load balancer"
}

// quietVariables is how many variables with names of up to 14 bytes fit into
// NGINX's table of variables without a warning. Measured with random digests on
// 1.22.1: 64 did in each of 150 trials.
const quietVariables = 64

func manyVariables(sites []render.Site) []render.SiteProblem {
	total := 0
	for i, s := range sites {
		total += variables(directives(s))
		if total > quietVariables {
			return []render.SiteProblem{{Site: i, Problem: problem{Warning: true, Summary: "Many sites in one NGINX",
				Detail: `Where NGINX reads all sites of this spec, it may warn that it "could not build optimal variables_hash"; they work all the same. Set variables_hash_max_size 4096 and variables_hash_bucket_size 128 in the http block of nginx.conf.`}}}
		}
	}
	return nil
}

// variables counts those that a configuration declares: one a map. The map
// that only many revoked serials need is not counted at load, when none is
// known.
func variables(ds []directive) int {
	n := 0
	for _, d := range ds {
		if len(d.args) > 0 && d.args[0] == "map" {
			n++
		}
	}
	return n
}
