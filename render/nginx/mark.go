package nginx

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"mtlsplan/render"
)

// The gate's mark is a header of the answers by which the site refuses, and of no
// other: who asks the running site learns from it that the application was not
// asked, and which text of the site NGINX serves.
const (
	markHeader = "X-Mtlsplan-Gate"
	markDigits = 16
)

// unmarked stands in a site's text in place of its own checksum.
var unmarked = strings.Repeat("0", markDigits)

// marked are the statuses with which a site refuses: 400 and 403 for what is said of
// certificates and of requests that cannot be read, 421 and 425 for connections that
// another site has made and for early data.
var marked = []string{"400", "403", "421", "425"}

// renderSite renders the one file of a site.
func renderSite(of render.Site) []render.File {
	data := text(directives(of))
	// Where the site is deployed belongs to it: NGINX may still read a copy elsewhere.
	sum := sha256.Sum256(append(bytes.Clone(data), of.Deploy.Site...))
	mark := hex.EncodeToString(sum[:])[:markDigits]
	for _, status := range marked { // no other map has such lines, whatever the spec says
		line := "\n    " + status + ": "
		data = bytes.Replace(data, []byte(line+unmarked+";\n"), []byte(line+mark+";\n"), 1)
	}
	return []render.File{{Name: of.File, Data: data, Gate: mark}}
}

// markLine is a line of the map that [site.markMap] writes.
var markLine = regexp.MustCompile(`(?m)^    403: ([0-9a-f]{16});$`)

// markIn reads the mark of a rendered site back from it.
func markIn(data []byte) string {
	if m := markLine.FindSubmatch(data); m != nil {
		return string(m[1])
	}
	return ""
}

// markMap marks what the site itself refuses. $proxy_host is set once a request is
// passed on, also where no server of the application can be reached or a cache
// answers; $upstream_addr stays set where the application has NGINX answer in its
// place (X-Accel-Redirect). NGINX leaves a header without a value out.
func (s site) markMap(c *conf) {
	c.gap()
	c.comment("A checksum of this site, in the header "+markHeader+" of what the site refuses itself.",
		"It is empty for whatever the application answers, and where it cannot be reached.")
	s.mapping(c, "$status:$proxy_host$upstream_addr", "gate", "", func() {
		for _, status := range marked {
			c.set(status+":", unmarked)
		}
	})
}

// mark adds the header to the answers of the block that it is written into.
func (s site) mark(c *conf) { c.set("add_header", markHeader, s.variable("gate"), "always") }
