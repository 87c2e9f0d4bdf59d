package render

import (
	"fmt"
	"strings"
)

// checkNginxSites finds what sites in one NGINX would take from each other.
func checkNginxSites(sites []Named) []SiteProblem {
	return append(sameServer(sites), manyVariables(sites)...)
}

// sameServer finds requests that two sites are for. NGINX would warn of a
// "conflicting server name", and one of the two would not be asked at all.
func sameServer(sites []Named) []SiteProblem {
	type server struct{ address, name string }
	type user struct {
		site int
		tls  bool
	}
	var out []SiteProblem
	servers, addresses := map[server]int{}, map[string]user{}
	for i, site := range sites {
		shared := false // once a site
		for _, setting := range []string{"listen", "redirect_from"} {
			tls := setting == "listen"
			for _, listen := range site.Values.Strings(setting) {
				address := listenKey(listen)
				if first, taken := addresses[address]; !taken {
					addresses[address] = user{i, tls}
				} else if first.tls != tls && first.site != i {
					out = append(out, SiteProblem{i, Problem{Setting: setting, Summary: "Address of another site",
						Detail: fmt.Sprintf("%q is where the site %q is, which has it in %s, and one address speaks either TLS or plain HTTP. Give one of the two another port.",
							listen, sites[first.site].Name, otherSetting(setting))}})
					continue
				}
				for _, name := range site.Values.Strings("server_name") {
					key := server{address, strings.ToLower(name)}
					if first, taken := servers[key]; !taken {
						servers[key] = i
					} else if first != i && !shared {
						shared = true
						out = append(out, SiteProblem{i, Problem{Setting: "server_name", Summary: "Server name of another site",
							Detail: fmt.Sprintf("The site %q answers to %q on %q already. NGINX would ignore one of the two, with its rules. Give this site another name or another address in %s.",
								sites[first].Name, name, listen, setting)}})
					}
				}
			}
		}
	}
	return out
}

func otherSetting(name string) string {
	if name == "listen" {
		return "redirect_from"
	}
	return "listen"
}

// quietVariables is how many variables with names of up to 22 bytes fit into
// NGINX's table of variables without a warning. Measured with random names on
// 1.22.1: 24 always did, 28 at times did not.
const quietVariables = 24

func manyVariables(sites []Named) []SiteProblem {
	total := 0
	for i, site := range sites {
		total += newNginxSite(Site{Name: site.Name, Values: site.Values}).variables()
		if total > quietVariables {
			return []SiteProblem{{i, Problem{Warning: true, Summary: "Many sites in one NGINX",
				Detail: `Where NGINX reads all sites of this spec, it may warn that it "could not build optimal variables_hash"; they work all the same. Set variables_hash_max_size 4096 and variables_hash_bucket_size 128 in the http block of nginx.conf.`}}}
		}
	}
	return nil
}

// variables is how many a site has, but for the one that many revoked serials
// need.
func (s nginxSite) variables() int {
	n := 1 // page
	for _, has := range []bool{s.sni, len(s.exempt) > 0, len(s.exempt) > 0, s.mapped, !s.resumable, s.Values.String("application") == "generic"} {
		if has {
			n++
		}
	}
	return n
}
