package ui

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"sync"
	"time"

	"mtlsplan/internal/plan"
)

// answer is how a code of the gate reads to the visitor.
type answer struct {
	title  string
	advice []string
}

const (
	chooseAgain = "Close all windows of your browser, come back, and choose the right certificate when you are asked."
	needNew     = "You need a new one to come in here."
)

var answers = map[plan.Code]answer{
	plan.Admitted: {"You are in", []string{"The service lets you in with this certificate."}},
	plan.NoCertificate: {"Your certificate is missing", []string{
		"Import the .p12 file that you were given into your browser or your system. " + chooseAgain,
		"If you have imported it and are not asked, it may have expired: browsers do not send an expired one."}},
	plan.UnknownCA:   {"Your certificate is from another issuer", []string{"Only this service's own certificates are taken here. " + chooseAgain}},
	plan.CALeft:      {"Your certificate's issuer is no longer trusted", []string{"The service has left behind the CA that issued it. " + needNew}},
	plan.CAEnded:     {"The CA's own certificate is not valid now", []string{"It is not your certificate that is wrong; the people who run this service must put it right."}},
	plan.Revoked:     {"Your certificate was revoked", []string{needNew}},
	plan.Expired:     {"Your certificate has expired", []string{needNew}},
	plan.NotYetValid: {"Your certificate is not valid yet", []string{"Check the date and the time of your device. If they are right, those of this computer are wrong."}},
	plan.NotRecorded: {"Your certificate is not on record", []string{
		"This service's CA has signed it, and the CA database does not know it: it may have been made by hand, or the database is older than it. NGINX may let it in all the same. " +
			"Say which certificate it is, by its serial, to the people who run this service."}},
	plan.Unsuitable:  {"Your certificate is not one for visitors", []string{"It was made for another purpose, or is too weak. " + chooseAgain}},
	plan.Unavailable: {"Certificates cannot be checked now", []string{"It is not your certificate that is wrong; the people who run this service must put it right."}},
}

// visitFact is a line of the page.
type visitFact struct{ Label, Value string }

// visitPage is what the page shows.
type visitPage struct {
	Title    string
	Advice   []string
	Facts    []visitFact
	Admitted bool
	Contact  string
}

//go:embed visit.html
var visitHTML string

// visitTemplate is parsed when it is needed: all other commands do without.
var visitTemplate = sync.OnceValue(func() *template.Template { return template.Must(template.New("visit").Parse(visitHTML)) })

// Visit is the gate's answer as the client asks for it: a page where it takes HTML,
// a document where it takes JSON, else a text. It returns the media type and the
// answer. contact is the e-mail of the CA, or "".
func Visit(v plan.VisitDocument, contact, accept string) (mime string, text []byte) {
	said := answers[v.Code]
	page := visitPage{said.title, said.advice, visitFacts(v), v.Admitted, contact}
	var b bytes.Buffer
	switch {
	case strings.Contains(accept, "text/html"):
		_ = visitTemplate().Execute(&b, page) // writes to memory
		return "text/html; charset=utf-8", b.Bytes()
	case strings.Contains(accept, "json"):
		v.Message, v.Contact = said.title+". "+strings.Join(said.advice, " "), contact
		_ = Document(&b, "json", v)
		return "application/json", b.Bytes()
	}
	visitText(&b, page)
	return "text/plain; charset=utf-8", b.Bytes()
}

func visitText(w io.Writer, page visitPage) {
	fmt.Fprintln(w, page.Title+".")
	for _, f := range page.Facts {
		fmt.Fprintf(w, "  %s  %s\n", pad(f.Label, len("CA generation")), f.Value)
	}
	if page.Admitted {
		return
	}
	for _, text := range page.Advice {
		fmt.Fprintln(w, text)
	}
	if page.Contact != "" {
		fmt.Fprintln(w, "Questions, or a new certificate? Ask "+Clean(page.Contact)+".")
	} else {
		fmt.Fprintln(w, "Ask the people who run this service.")
	}
}

func visitFacts(v plan.VisitDocument) []visitFact {
	c := v.Certificate
	if c == nil {
		return nil
	}
	var list []visitFact
	add := func(label, value string) {
		if value != "" {
			list = append(list, visitFact{label, Clean(value)})
		}
	}
	add("name", c.CommonName)
	add("e-mail", c.Email)
	add("user", strings.TrimPrefix(string(c.Owner), "user."))
	add("serial", c.Serial)
	switch v.Code {
	case plan.NotYetValid:
		add("valid from", moment(c.NotBefore))
	case plan.Expired:
		add("expired", moment(c.NotAfter))
	case plan.Revoked:
		add("revoked", moment(*c.RevokedAt))
		add("revoked for", c.RevokedFor)
	default:
		add("valid until", moment(c.NotAfter))
	}
	if v.Admitted {
		add("days left", fmt.Sprint(c.DaysLeft))
	}
	add("issuer", c.Issuer)
	if c.Generation > 0 {
		add("CA generation", fmt.Sprint(c.Generation))
	}
	return list
}

func moment(t time.Time) string { return t.UTC().Format(time.DateTime) + " UTC" }

// Visited is the line for a log of an answer of the gate.
func Visited(v plan.VisitDocument) string {
	line := "admitted"
	if !v.Admitted {
		line = "refused, " + string(v.Code)
	}
	if c := v.Certificate; c != nil {
		line += fmt.Sprintf(": %s, serial %s", cmp.Or(string(c.Owner), c.CommonName), c.Serial)
	}
	return Clean(line)
}

// Try says what to do with an open gate. path shortens an absolute path.
func Try(w io.Writer, st Style, d plan.TryDocument, path func(string) string) {
	fmt.Fprintln(w, st.paint(bold, "The gate is open at "+Clean(d.URL)+" until Ctrl-C."))
	if d.At != nil {
		fmt.Fprintln(w, "It judges as if now were "+moment(*d.At)+".")
	}
	tryImport(w, st, d, path)
	section(w, st, "What to expect")
	for _, line := range []string{
		"The browser warns of the gate's own certificate, which was made for this run",
		"alone: go on. Its SHA-256 is",
		d.ServerSHA256,
		"It then asks which certificate to show, and the page says who you are. Without",
		"a certificate, or with a wrong one, it says why you do not get in.",
		"What an apply changes counts as soon as the page is loaded again.",
	} {
		fmt.Fprintln(w, "  "+line)
	}
	if i := d.Import; i != nil {
		section(w, st, "With curl, which asks for the passphrase")
		fmt.Fprintf(w, "  curl -k --cert %s \\\n    --key %s \\\n    %s\n", Clean(shellWord(path(i.Crt))), Clean(shellWord(path(i.Key))), Clean(shellWord(d.URL)))
	}
}

func tryImport(w io.Writer, st Style, d plan.TryDocument, path func(string) string) {
	section(w, st, "What to import")
	i := d.Import
	if i == nil {
		fmt.Fprintln(w, "  No user has a .p12 here. Take a certificate and its key, and curl.")
		return
	}
	fmt.Fprintln(w, "  "+Clean(path(i.P12)))
	if file := Clean(path(i.PassphraseFile)); strings.HasSuffix(i.PassphraseFile, "."+plan.KindSealed) {
		fmt.Fprintln(w, "  Its passphrase is sealed in "+file)
		fmt.Fprintln(w, "  and shown by age -d -i KEY-FILE "+Clean(shellWord(path(i.PassphraseFile))))
	} else if i.PassphraseFile != "" {
		fmt.Fprintln(w, "  Its passphrase is in "+file)
	} else {
		fmt.Fprintln(w, "  Its passphrase comes from "+Clean(i.PassphraseSource))
	}
	if i.Users > 1 {
		fmt.Fprintln(w, "  The other users' files are beside it.")
	}
	for _, line := range []string{
		"Firefox: Settings, Privacy and security, Connection and software security,",
		"  Manage certificates (older: View Certificates), Your Certificates, Import",
		"Chrome:  chrome://settings/certificates, Your certificates, View imported",
		"  certificates from Linux, Import; on Windows and macOS, open the file instead",
	} {
		fmt.Fprintln(w, "  "+line)
	}
}
