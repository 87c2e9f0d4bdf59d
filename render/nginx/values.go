package nginx

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mtlsplan/render"
)

// The checks below are allow lists. A value that they accept is one plain token
// to NGINX's configuration parser and to each directive that takes it.

var (
	hostLabel   = `[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?`
	hostName    = regexp.MustCompile(`^` + hostLabel + `(?:\.` + hostLabel + `)*$`)
	plainPath   = regexp.MustCompile(`^/[A-Za-z0-9._@+:,=~/-]+$`)
	plainFile   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._@+-]*(?:/[A-Za-z0-9_][A-Za-z0-9._@+-]*)*$`)
	exemptPath  = regexp.MustCompile(`^(?:/[A-Za-z0-9._~!&()*+,=:@-]+)+/?$`)
	versionText = regexp.MustCompile(`^([0-9]{1,3})\.([0-9]{1,4})(?:\.([0-9]{1,4}))?$`)
	headerName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*$`)
	groupName   = regexp.MustCompile(`^` + render.GroupPattern + `$`)
	sizeText    = regexp.MustCompile(`^(?:0|[1-9][0-9]{0,8}[kKmMgG]?)$`)
	ownedSuffix = regexp.MustCompile(`\.(?:key|crt|csr|p12|crl|pass)$`)
)

const maxHostName = 253 // RFC 1035, section 2.3.4, as text

// isHost reports whether s is the name of a host. No name ends in a number (RFC
// 1123, section 2.1): 256.1.1.1 is a mistaken address.
func isHost(s string) bool {
	last := s[strings.LastIndexByte(s, '.')+1:]
	return len(s) <= maxHostName && hostName.MatchString(s) && strings.Trim(last, "0123456789") != ""
}

func checkServerName(s string) error {
	if addr, err := parseIP(s); err == nil && addr.Is4() {
		return nil
	}
	if s == "_" {
		return errors.New(`"_" is a name that no client asks for, so nobody would reach this site. Name the host as it is in the address that people open, such as "chat.example.com".`)
	}
	if !isHost(strings.TrimPrefix(s, "*.")) {
		return errors.New(`A server name is letters, digits, "-", "_" and dots, such as "chat.example.com", or "*." and such a name. Regular expressions are not taken, and a name in another alphabet is written in its "xn--" form.`)
	}
	return nil
}

func checkListen(s string) error {
	if farPort(s) {
		return errPort
	}
	if _, _, err := splitListen(s); err != nil {
		return errors.New(`An address to listen on is a port from 1 to 65535, or an IP address and a port, such as "443", "192.0.2.1:443" or "[::]:443". Parameters such as "ssl" are added by the renderer; behind a load balancer, set proxy_protocol = true.`)
	}
	return nil
}

// splitListen gives the address, "0.0.0.0" where only a port is named, and the
// port of a listen directive.
func splitListen(s string) (netip.Addr, int, error) {
	if port, err := parsePort(s); err == nil {
		return netip.IPv4Unspecified(), port, nil
	}
	host, digits, ok := cutPort(s)
	if !ok {
		return netip.Addr{}, 0, errors.New("no port")
	}
	port, err := parsePort(digits)
	if err != nil {
		return netip.Addr{}, 0, err
	}
	if host == "*" {
		return netip.IPv4Unspecified(), port, nil
	}
	addr, err := parseIP(host)
	return addr, port, err
}

// cutPort splits at the last colon.
func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

// parseIP reads an IPv4 address, or an IPv6 address in brackets without zone.
// ::ffff:192.0.2.1 is refused: NGINX cannot listen on an IPv4 address so written.
func parseIP(s string) (netip.Addr, error) {
	inner, bracketed := strings.CutPrefix(s, "[")
	if bracketed {
		inner, bracketed = strings.CutSuffix(inner, "]")
	}
	addr, err := netip.ParseAddr(inner)
	if err != nil {
		return addr, err
	}
	if addr.Is6() != bracketed || addr.Is4In6() || addr.Zone() != "" ||
		strings.HasSuffix(inner, "::") && strings.Count(inner, ":") == 8 { // to NGINX, "::" is more than one group
		return addr, errors.New("not an address that NGINX takes")
	}
	return addr, nil
}

var errPort = errors.New("The port is out of range: ports are the numbers from 1 to 65535.")

// farPort reports whether s is an address with a port but for the port's number,
// which is out of range.
func farPort(s string) bool {
	digits := s[strings.LastIndexByte(s, ':')+1:]
	if _, err := parsePort(digits); err == nil || strings.Trim(digits, "0123456789") != "" || strings.HasPrefix(digits, "0") && strings.Trim(digits, "0") != "" || digits == "" {
		return false
	}
	host := strings.TrimSuffix(s, digits)
	_, _, err := splitListen(host + "1")
	return err == nil || isHostPort(host+"1")
}

func parsePort(s string) (int, error) {
	if s == "" || len(s) > 5 || s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return 0, errors.New("not a port")
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > 65535 {
		return 0, errors.New("not a port")
	}
	return n, nil
}

// overTLS begins an upstream that speaks TLS.
const overTLS = "https://"

func checkUpstream(s string) error {
	if server, ok := strings.CutPrefix(s, overTLS); ok {
		switch {
		case isHostPort(server):
			return nil
		case farPort(server):
			return errPort
		}
		return errors.New(`An upstream that speaks TLS is "https://", a host and a port, without a path: "https://app.internal:443".`)
	}
	if p, ok := strings.CutPrefix(s, "unix:"); ok {
		if checkPath(p) == nil && !strings.Contains(p, ":") {
			return nil
		}
	} else if isHostPort(s) {
		return nil
	} else if farPort(s) {
		return errPort
	}
	return errors.New(`A server of the application is a host and a port, or a socket: "127.0.0.1:8065", "[::1]:8065", "app.internal:8065" or "unix:/run/app.sock". These are spoken to in plain HTTP; "https://" before a host and a port stands for TLS. "http://" and parameters are not taken.`)
}

// ownHeaders are those that a site sets for other purposes, or that belong to the
// connection.
var ownHeaders = []string{"host", "connection", "upgrade", "x-real-ip", "x-forwarded-for", "x-forwarded-proto",
	"content-length", "content-type", "transfer-encoding", "te", "expect", "cookie", "authorization", "origin"}

func checkHeader(s string) error {
	if len(s) > 64 || !headerName.MatchString(s) {
		return errors.New(`A header's name here has at most 64 letters, digits and "-", such as "X-Email". "_" is not taken: to many applications X_Email and X-Email are one header.`)
	}
	if slices.Contains(ownHeaders, strings.ToLower(s)) {
		return fmt.Errorf("%q is a header that has a meaning of its own between a client and the application. Choose another name, such as \"X-Email\".", s)
	}
	return nil
}

func checkGroup(s string) error {
	if !groupName.MatchString(s) {
		return errors.New(`A group is a word of at most 32 letters, digits, "_", "." and "-", such as "admins".`)
	}
	return nil
}

func checkSize(s string) error {
	if !sizeText.MatchString(s) {
		return errors.New(`A size is a whole number of bytes, or one with "k", "M" or "G" behind it: "512M", "10G". It has at most nine digits, and "0" stands for any size.`)
	}
	return nil
}

func checkProbe(s string) error {
	if !isHostPort(s) {
		return errors.New(`The address of a probe is a host and a port, such as "127.0.0.1:443".`)
	}
	return nil
}

func checkTimeout(s string) error {
	if d, err := time.ParseDuration(s); err != nil || d < time.Second || d > time.Hour {
		return errors.New(`A timeout is a number with "s" or "m" behind it, such as "30s" or "2m", from one second to one hour.`)
	}
	return nil
}

func isHostPort(s string) bool {
	host, port, ok := cutPort(s)
	if !ok {
		return false
	}
	if _, err := parsePort(port); err != nil {
		return false
	}
	if _, err := parseIP(host); err == nil {
		return true
	}
	return isHost(host)
}

// checkNetwork refuses what set_real_ip_from does not take, and a network with
// bits behind its prefix, of which NGINX warns.
func checkNetwork(s string) error {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" && !addr.Is4In6() {
		return nil
	}
	network, err := netip.ParsePrefix(s)
	if err != nil || network.Addr().Is4In6() {
		return errors.New(`A load balancer is an IP address or a network, such as "192.0.2.10", "10.0.0.0/8" or "2001:db8::/32".`)
	}
	if network != network.Masked() {
		return fmt.Errorf("%q is an address in the network %q. Write the network, or the address alone.", s, network.Masked())
	}
	return nil
}

// checkPath refuses a path that is not absolute, or that NGINX's configuration
// could read as anything else than one plain path.
func checkPath(s string) error {
	if bare := strings.TrimRight(s, "/"); bare != s && checkPath(bare) == nil {
		return fmt.Errorf(`A path here ends in a name, without a "/" behind it. Write %q.`, bare)
	}
	if !plainPath.MatchString(s) || hasDotSegment(s) || strings.Contains(s, "//") || strings.HasSuffix(s, "/") {
		return errors.New(`A path here is absolute and made of letters, digits and "._@+:,=~-", such as "/etc/nginx/site.crt". Blanks, quotes, "$", ";", braces, "//" and ".." are not taken.`)
	}
	return nil
}

// checkWebroot refuses, beside what is no path, the directory of the challenges itself: NGINX
// puts the whole path of a request behind a root.
func checkWebroot(s string) error {
	above, _, within := strings.Cut(s+"/", "/.well-known/")
	if within && (above == "" || checkPath(above) == nil) {
		return fmt.Errorf(`Challenges are read from .well-known/acme-challenge below this directory, so .well-known is no part of it. Name the directory that holds .well-known, such as %q.`, cmp.Or(above, "/var/www"))
	}
	return checkPath(s)
}

func checkSiteFile(s string) error {
	first, _, _ := strings.Cut(s, "/")
	if !plainFile.MatchString(s) || first == "db" || first == "secrets" || ownedSuffix.MatchString(s) {
		return errors.New(`The file of a site is a path within the output directory, such as "nginx/mattermost", made of letters, digits and "._@+-". It cannot be in db/ or secrets/, nor end as a key or a certificate does (.key .crt .csr .p12 .crl .pass).`)
	}
	return nil
}

func checkExempt(s string) error {
	if s == "/" {
		return errors.New(`The path "/" would let everybody in everywhere. Name the paths that need no certificate, such as "/hooks/".`)
	}
	if !exemptPath.MatchString(s) || hasDotSegment(s) {
		return errors.New(`An exempt path starts with "/" and is taken literally: "/hooks/" is all below it, "/api/v4/system/ping" is that path alone. It is made of letters, digits and "/._~!&()*+,=:@-"; "//", "." and ".." as a part, "%", "?" and "#" are not taken.`)
	}
	return nil
}

func hasDotSegment(p string) bool {
	for part := range strings.SplitSeq(p, "/") {
		if part == "." || part == ".." {
			return true
		}
	}
	return false
}

// release is one NGINX version.
type release [3]int

func (r release) before(s release) bool { return slices.Compare(r[:], s[:]) < 0 }

var (
	oldestNginx     = release{1, 13, 5} // $ssl_client_escaped_cert
	sinceEarlyData  = release{1, 15, 3} // ssl_early_data
	sinceHTTP2Alone = release{1, 25, 1} // http2 on; listen ... http2 warns from here on
)

// versions is the range of releases that a site must suit, both ends included:
// the whole series for "1.22", everything from the oldest one on when the spec
// says nothing.
type versions struct{ first, last release }

func (v versions) allSince(r release) bool  { return !v.first.before(r) }
func (v versions) allBefore(r release) bool { return v.last.before(r) }

func parseVersion(s string) (versions, error) {
	if s == "" {
		return versions{oldestNginx, release{math.MaxInt}}, nil
	}
	m := versionText.FindStringSubmatch(s)
	if m == nil {
		return versions{}, errors.New("not a version")
	}
	var r release
	for i := range r {
		r[i], _ = strconv.Atoi(m[i+1])
	}
	v := versions{r, r}
	if m[3] == "" {
		v.last[2] = math.MaxInt
	}
	return v, nil
}

func checkNginxVersion(s string) error {
	v, err := parseVersion(s)
	if err != nil || s == "" {
		return errors.New(`A version is two or three numbers, such as "1.22" or "1.26.3"; "nginx -v" prints it.`)
	}
	if !v.allSince(oldestNginx) {
		return fmt.Errorf(`NGINX before 1.13.5 cannot pass a certificate on in one header line ($ssl_client_escaped_cert), so no site is rendered for %s.`, s)
	}
	return nil
}

func checkWord(s string) error {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '�' }) {
		return errors.New(`Each part of a command is text without control characters, as in ["systemctl", "reload", "nginx"].`)
	}
	return nil
}
