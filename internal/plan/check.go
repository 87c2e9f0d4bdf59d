package plan

// ChecksDocument is the answer of verify and of doctor: what was checked, and what is wrong.
type ChecksDocument struct {
	FormatVersion int `json:"format_version"`
	// Whether nothing is wrong.
	OK bool `json:"ok"`
	// What is wrong, of verify by owner, of doctor by file and line; then the checks that found nothing. A check that fails for several reasons is there once for each.
	Checks []Check `json:"checks"`
}

// Check is one thing that was checked.
type Check struct {
	// Who was checked; of doctor nginx.NAME, with the name of the site's file.
	Owner Owner `json:"owner"`
	// The name of the check.
	Check string `json:"check"`
	// Whether nothing is wrong.
	OK bool `json:"ok"`
	// What is wrong; codes are stable. With passphrase-unavailable a secret cannot be had: the check is not proven, and need not be wrong.
	Code Code `json:"code,omitempty"`
	// What is wrong, why that matters and what to do, for people; of a check of doctor or of verify --connect that found nothing, what holds.
	Message string `json:"message,omitempty"`
	// Of doctor: the file in which it is.
	File string `json:"file,omitempty"`
	// Its line, from 1; absent where nothing is wrong.
	Line int `json:"line,omitempty"`
	// Lines to write in its place or beside it.
	Write []string `json:"write,omitempty"`

	Unproven bool `json:"-"` // of verify: it could not be made, because a secret cannot be had
}

// NewChecksDocument is the document of checks.
func NewChecksDocument(checks []Check) ChecksDocument {
	doc := ChecksDocument{FormatVersion: FormatVersion, OK: true, Checks: List(checks)}
	for i := range checks {
		doc.OK = doc.OK && checks[i].OK
	}
	return doc
}

// CheckName names a check of verify. Names are stable: scripts match them.
type CheckName = string

// The checks of verify.
const (
	FilesPresent           CheckName = "files-present"
	Modes                  CheckName = "modes"
	KeyOpens               CheckName = "key-opens"
	KeyMatches             CheckName = "key-matches"
	Encodings              CheckName = "encodings"
	CertificateRecorded    CheckName = "certificate-recorded"
	CertificateValid       CheckName = "certificate-valid"
	CertificateAsSpecified CheckName = "certificate-as-specified"
	CSRMatches             CheckName = "csr-matches"
	P12Opens               CheckName = "p12-opens"
	P12Matches             CheckName = "p12-matches"
	LetIn                  CheckName = "let-in"
	KeptOut                CheckName = "kept-out"
	DepartedGone           CheckName = "departed-gone"
	DatabaseWhole          CheckName = "database-whole"
	CRLSigned              CheckName = "crl-signed"
	CRLCurrent             CheckName = "crl-current"
	CRLNumber              CheckName = "crl-number"
	CRLEntries             CheckName = "crl-entries"
	SiteCurrent            CheckName = "site-current"
)

// The checks of verify --connect, which asks the proxy that runs.
const (
	ProxyAsks     CheckName = "proxy-asks"
	ProxyServes   CheckName = "proxy-serves"
	ProxyNobody   CheckName = "proxy-no-certificate"
	ProxyForeign  CheckName = "proxy-foreign"
	ProxyExpired  CheckName = "proxy-expired"
	ProxyRevoked  CheckName = "proxy-revoked"
	ProxyLetsIn   CheckName = "proxy-lets-in"
	ProxySessions CheckName = "proxy-sessions"
	ProxyHeaders  CheckName = "proxy-headers"
)

// CheckNames are all checks of verify, in the order in which they are answered: first
// those of the directory.
func CheckNames() []Word { return checkNames }

var checkNames = []Word{
	{FilesPresent, "Every file of the owner is there and can be read, and none is left over."},
	{Modes, "No file and no directory is open to more than it may be."},
	{KeyOpens, "The key opens under the passphrase that the spec names."},
	{KeyMatches, "Key and certificate belong together, and the key is nobody else's."},
	{Encodings, "Key and .p12 are encrypted as the spec asks."},
	{CertificateRecorded, "The certificates in place are those that the CA database holds."},
	{CertificateValid, "A CA in the trust file has signed the certificate, it is not revoked, and it is valid now. Of a CA: it has signed itself, and is valid now."},
	{CertificateAsSpecified, "Names, type of key and extensions of the certificate are what the spec asks for."},
	{CSRMatches, "The CSR is signed by its key, and is the request that the certificate answers."},
	{P12Opens, "Every .p12 opens under the passphrase; go-pkcs12 opens it."},
	{P12Matches, "Every .p12 holds the key and the certificate in place."},
	{LetIn, "A TLS server with the trust file and the revocations of every site lets the user in, over TLS 1.2 and 1.3. Where the key is not at hand, the certificate alone is judged."},
	{KeptOut, "No site lets a revoked certificate in."},
	{DepartedGone, "A user who is not in the spec, or revoked there, has no valid certificate and no files."},
	{DatabaseWhole, "index.txt, issued.pem and the other files of the CA database agree, and every certificate in it has a good signature."},
	{CRLSigned, "Every CA that is trusted has a CRL, which it has signed."},
	{CRLCurrent, "The CRLs are valid now."},
	{CRLNumber, "The number of the next CRL follows that of the newest in place."},
	{CRLEntries, "The CRLs list what the CA database has revoked, with the same dates and reasons, and nothing else."},
	{SiteCurrent, "The site is what the spec, the CAs and the revocations ask for, and its checksum is recorded."},
	{ProxyAsks, "With --connect: the proxy asks for a certificate of the CAs in the trust file, and of no other."},
	{ProxyServes, "With --connect: the proxy serves the site that is in place, which the checksum in its refusals tells."},
	{ProxyNobody, "With --connect: the proxy refuses a client without a certificate, or lets it in where the spec says so."},
	{ProxyForeign, "With --connect: the proxy refuses a certificate in a user's name that no CA has signed."},
	{ProxyExpired, "With --connect: the proxy refuses a certificate that has expired. Only where the key of one is at hand."},
	{ProxyRevoked, "With --connect: the proxy refuses a certificate that was revoked. Only where the key of one is at hand."},
	{ProxyLetsIn, "With --connect: the proxy lets a user in whom the site is for, the one of --user or any whose key opens."},
	{ProxySessions, "With --connect: nobody gets in by resuming a TLS session who would be refused otherwise. Over TLS 1.2 sessions with tickets are tried, and none that the server keeps."},
	{ProxyHeaders, "With --connect and --echo: no header that tells the application who came reaches it as a client has sent it."},
}

// Codes of what is wrong with a proxy that runs; [SessionResumption] is among them too.
const (
	NotAsked  Code = "not-asked"
	OtherCAs  Code = "other-cas"
	OtherSite Code = "other-site"
	GateOpen  Code = "gate-open"
	ShutOut   Code = "shut-out"
	NoAnswer  Code = "no-answer"
	NoEcho    Code = "no-echo"
	Forged    Code = "forged-header"
)

// ProxyCodes are the codes of what verify --connect finds, for the reference.
func ProxyCodes() []CodeDoc { return proxyCodes }

var proxyCodes = []CodeDoc{
	{NotAsked, "", "The proxy asks for no certificate."},
	{OtherCAs, "", "The proxy announces other CAs than those in the trust file, so browsers do not offer the right certificates."},
	{OtherSite, "", "The proxy serves another text of the site than the one in place, or a site that mtlsplan has not written."},
	{GateOpen, "", "Somebody gets in who must be refused."},
	{ShutOut, "", "Somebody is refused who must get in."},
	{NoAnswer, "", "The proxy did not answer."},
	{NoEcho, "", "The page of --echo does not show the headers of the request."},
	{Forged, "", "A header that tells the application who came reaches it as a client has sent it."},
}

// Codes of what is wrong with a site made by hand.
const (
	SiteSyntax        Code = "syntax"
	SSLOn             Code = "ssl-on"
	NoTLS             Code = "no-tls"
	HTTP2Form         Code = "http2-form"
	OldProtocol       Code = "old-protocol"
	VerifyMissing     Code = "verify-missing"
	VerifyOff         Code = "verify-off"
	VerifyUnchecked   Code = "verify-unchecked"
	VerifyNoCA        Code = "verify-no-ca"
	CheckDefeated     Code = "check-defeated"
	CheckSkipped      Code = "check-skipped"
	OpenServer        Code = "open-server"
	CAUnset           Code = "ca-unset"
	CAUnreadable      Code = "ca-unreadable"
	CAPrivateKey      Code = "ca-private-key"
	CAExpired         Code = "ca-expired"
	CAVersion1        Code = "ca-version-1"
	CANotCA           Code = "ca-not-a-ca"
	CAIncomplete      Code = "ca-incomplete"
	CAPublic          Code = "ca-public"
	CAWritable        Code = "ca-writable"
	VerifyDepth       Code = "verify-depth"
	NoRevocation      Code = "no-revocation"
	CRLUnreadable     Code = "crl-unreadable"
	CRLEnded          Code = "crl-ended"
	CRLMissing        Code = "crl-missing"
	SessionResumption Code = "session-resumption"
	EarlyData         Code = "early-data"
	MultilineHeader   Code = "multiline-header"
	DNForm            Code = "dn-form"
	HeaderMissing     Code = "header-missing"
	Underscores       Code = "underscores"
)

// CheckCodes are the codes of what doctor finds, for the reference.
func CheckCodes() []CodeDoc { return checkCodes }

var checkCodes = []CodeDoc{
	{SiteSyntax, "", "NGINX cannot read this, or a file that it includes is not there."},
	{SSLOn, "", "The directive ssl is gone since NGINX 1.25.1."},
	{NoTLS, "", "No server speaks TLS, so no client can show a certificate."},
	{HTTP2Form, "", "HTTP/2 is switched on in a form of another NGINX."},
	{OldProtocol, "", "A version of TLS before 1.2 is allowed."},
	{VerifyMissing, "", "No client is asked for a certificate."},
	{VerifyOff, "", "The server has a CA for clients, and ssl_verify_client is off."},
	{VerifyUnchecked, "", "The certificate is optional, and nothing refuses a client that has none."},
	{VerifyNoCA, "", "optional_no_ca lets certificates of any issuer in."},
	{CheckDefeated, "", "An if looks at the certificate and refuses nobody without one."},
	{CheckSkipped, "", "A rewrite before the check ends the phase in which it stands."},
	{OpenServer, "", "Another server leads to the same application and asks for no certificate."},
	{CAUnset, "", "ssl_verify_client has no CA certificate to verify with."},
	{CAUnreadable, "", "The file of the CA certificate is not there, or holds none."},
	{CAPrivateKey, "", "The file of the CA certificate holds a private key."},
	{CAExpired, "", "A CA certificate has expired, or is not valid yet."},
	{CAVersion1, "", "A CA certificate is of X.509 version 1, and nothing in it says that it is a CA's."},
	{CANotCA, "", "A certificate among the CA's is not of a CA."},
	{CAIncomplete, "", "The issuer of a CA certificate is not in the file."},
	{CAPublic, "", "Whoever has a certificate of a public CA comes in."},
	{CAWritable, "", "Others than the owner can write the file of the CA certificate."},
	{VerifyDepth, "", "ssl_verify_depth is too small for the CAs in the file."},
	{NoRevocation, "", "A revoked certificate gets in."},
	{CRLUnreadable, "", "The file of ssl_crl is not there, or holds no CRL."},
	{CRLEnded, "", "A CRL has ended, or has not begun, and everybody is refused."},
	{CRLMissing, "", "A CA has no CRL in the file, and all of its users are refused."},
	{SessionResumption, "", "A revoked or expired certificate gets in with a resumed TLS session."},
	{EarlyData, "", "Early data can be replayed, and comes before the certificate."},
	{MultilineHeader, "", "A header has several lines, which HTTP no longer allows."},
	{DNForm, "", "The DN has the form of RFC 2253, and the application splits it at slashes."},
	{HeaderMissing, "", "In this location clients can send the identity header themselves."},
	{Underscores, "", "Clients can send the identity header with underscores in its name."},
}
