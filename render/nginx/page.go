package nginx

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// refusal is the text for one result of $ssl_client_verify. The first that
// matches counts.
type refusal struct {
	pattern string // exact text, or a regular expression behind "~"
	title   string
	advice  string // HTML
}

const (
	chooseAgain  = "Close all windows of your browser, come back, and choose the right certificate when you are asked."
	notYourDoing = "It is not your certificate that is wrong; the people who run this site must put it right."
)

// refusals go by the texts of X509_verify_cert_error_string (OpenSSL 1.0.2 to
// 3.x). A verified certificate is refused only when its serial is listed.
var refusals = []refusal{
	{"NONE", "Your certificate is missing",
		"Import the file that you were given (its name ends in <code>@SUFFIX@</code>) into your browser or your system. " + chooseAgain +
			"</p>\n<p>If you have imported it and are not asked, it may have expired: browsers do not send an expired one."},
	{"SUCCESS", "Your certificate was revoked", "You need a new one to come in here."},
	{"~certificate revoked", "Your certificate was revoked", "You need a new one to come in here."},
	{"~CRL|OCSP", "Certificates cannot be checked now", notYourDoing},
	{"~certificate has expired", "Your certificate has expired", "You need a new one to come in here."},
	{"~not yet valid", "Your certificate is not valid yet", "Check the date and the time of your device. If they are right, the server's are wrong."},
	{"~unable to|self.signed|signature failure|certificate chain", "Your certificate is from another issuer",
		"This site takes only its own certificates. " + chooseAgain},
	{"~key too weak|md too weak", "Your certificate is too weak", "Its key or its signature is shorter than what is taken today. You need a new one."},
}

const (
	otherTitle  = "Your certificate was not accepted"
	otherAdvice = chooseAgain
)

const pageHead = `<!DOCTYPE html>
<html lang='en'>
<head>
<meta charset='utf-8'>
<meta name='viewport' content='width=device-width, initial-scale=1'>
<meta name='color-scheme' content='light dark'>
<title>Certificate needed</title>
<style>
:root { color-scheme: light dark; --back: #f4f5f7; --card: #fff; --text: #1d2430; --soft: #5a6475; --mark: #b3261e; --link: #1a56b8 }
@media (prefers-color-scheme: dark) { :root { --back: #14171c; --card: #1e232b; --text: #e6e9ee; --soft: #a3adbb; --mark: #ff8a80; --link: #8ab4f8 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: clamp(.75rem, 4vw, 1.5rem); background: var(--back); color: var(--text); font: 1rem/1.6 system-ui, sans-serif }
main { width: 100%; max-width: 34rem; padding: 2rem clamp(1.25rem, 6vw, 2.25rem); overflow-wrap: anywhere; background: var(--card); border-radius: .75rem; border-top: .3rem solid var(--mark); box-shadow: 0 1px 12px rgba(0, 0, 0, .12) }
h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.25 }
p { margin: 0 0 1rem }
footer { color: var(--soft) }
a { color: var(--link) }
code { display: inline-block; font-size: .95em }
</style>
</head>
<body>
<main>
`

// page is the answer to everybody who is refused, in plain ASCII. NGINX takes
// no argument of 4,096 bytes or more, and reads a variable behind any "$".
func (s site) page() string {
	contact := "Ask the people who run this site."
	if s.Contact != "" {
		contact = fmt.Sprintf("Questions, or a new certificate? Ask <a href='mailto:%s'>%s</a>.",
			entities(url.PathEscape(s.Contact)), entities(s.Contact))
	}
	return pageHead + s.variable("page") + "\n<footer>" + contact + "</footer>\n</main>\n</body>\n</html>\n"
}

// resumedRefusal is the text for the sessions that [site.resumedMap] finds. Where
// revocation is by map, the certificate is in its last day or beyond; else it
// may be on the CRL.
func (s site) resumedRefusal() refusal {
	if s.mapped {
		return refusal{"SUCCESS" + resumed, "Your certificate has expired", "It has expired, or it will today. You need a new one to come in here."}
	}
	return refusal{"SUCCESS" + resumed, "Certificates cannot be checked now", notYourDoing}
}

func (s site) reasonMap(c *conf) {
	c.gap()
	c.comment("The page that a refused person reads.")
	suffix := strings.NewReplacer("@SUFFIX@", entities("-"+s.CA+".p12"))
	text := func(title, advice string) string {
		return "<h1>" + title + "</h1>\n<p>" + suffix.Replace(advice) + "</p>"
	}
	source, all := "$ssl_client_verify", refusals
	if s.pinned {
		source += s.variable("alien")
	}
	if !s.SessionResumption {
		source += s.variable("old")
		all = append(slices.Clone(refusals), s.resumedRefusal())
	}
	if len(s.AllowGroups) > 0 {
		source += s.variable("out")
		all = append([]refusal{{"~" + outsider + "$", "You may not come in here", "Your certificate is good, but this site is for others."}}, all...)
	}
	if s.pinned {
		all = append([]refusal{{"~" + alien, "Your certificate is from another issuer", "This site takes only its own certificates. " + chooseAgain}}, all...)
	}
	s.mapping(c, source, "page", text(otherTitle, otherAdvice), func() {
		for _, r := range all {
			c.set(r.pattern, text(r.title, r.advice))
		}
	})
}

// entities writes all but a few harmless characters as HTML character
// references, so that the text is neither markup, nor a variable, nor more
// than ASCII.
func entities(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@.-_+% ", r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "&#%d;", r)
		}
	}
	return b.String()
}
