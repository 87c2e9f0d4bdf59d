package nginx

import (
	"testing"
	"time"

	"mtlsplan/internal/doctor"
	"mtlsplan/internal/nginxconf"
)

// TestDoctorFindsNothing holds the rendered sites to what doctor wants of sites made by
// hand. The files that they name are not there, which is no matter of the text.
func TestDoctorFindsNothing(t *testing.T) {
	n := 0
	for _, version := range []string{"", "1.18", "1.22", "1.26", "1.27.4"} {
		for _, revocation := range []string{"map", "crl", "both"} {
			for _, application := range []string{"mattermost", "generic"} {
				for bits := range 64 {
					v := said{"revocation": revocation, "application": application, "identity_headers": bits&1 > 0, "session_resumption": bits&2 > 0 && revocation != "crl"}
					if version != "" {
						v["nginx_version"] = version
					}
					if bits&4 > 0 {
						v["exempt"] = []string{"/hooks/"}
					}
					if bits&16 > 0 {
						v["acme_challenge"], v["cors_preflight"] = "/var/www/acme", true
					}
					if bits&32 > 0 {
						v["upstream"], v["upstream_ca"], v["proxy_protocol"], v["real_ip_from"] = []string{"https://10.0.0.1:8443"}, "/etc/ssl/app.pem", true, []string{"10.0.0.0/8"}
					}
					s := plainSite(v)
					if bits&8 > 0 {
						s.Revoked = []string{"03FF", "0A0B0C"}
					}
					site := doctor.Site{File: "site", Now: time.Now()}
					if version != "" {
						var err error
						site.Version, err = doctor.ParseVersion(version)
						must(t, err)
					}

					site.Directives, site.Errors = nginxconf.Parse(site.File, rendered(s))
					for _, f := range doctor.Examine(site) {
						t.Errorf("%v: line %d: %s: %s", v, f.Line, f.Code, f.Message)
					}
					n++
				}
			}
		}
	}
	t.Logf("%d sites", n)
}
