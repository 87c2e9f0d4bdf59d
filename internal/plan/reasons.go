package plan

// The reason codes. They are part of the contract: scripts match them.
const (
	Missing           Code = "missing"
	Damaged           Code = "damaged"
	Mode              Code = "mode"
	KeyMismatch       Code = "key-mismatch"
	SubjectChanged    Code = "subject-changed"
	SANChanged        Code = "san-changed"
	KeyChanged        Code = "key-changed"
	UsageChanged      Code = "usage-changed"
	PassphraseChanged Code = "passphrase-changed"
	EncodingChanged   Code = "encoding-changed"
	SettingsChanged   Code = "settings-changed"
	Expiring          Code = "expiring"
	Expired           Code = "expired"
	IssuerChanged     Code = "issuer-changed"
	Upstream          Code = "upstream"
	Revoked           Code = "revoked"
	Unrecorded        Code = "unrecorded"
	Unreadable        Code = "unreadable"
	Interrupted       Code = "interrupted"
	Removed           Code = "removed"
	ReplaceAsked      Code = "replace-asked"
	OverlapOver       Code = "overlap-over"
	Moved             Code = "moved"
)

// CodeDoc explains a code, for the reference.
type CodeDoc struct {
	Code   Code
	Action string // what it leads to
	Doc    string // one sentence
}

// Codes are all codes, strongest first: the order of a step's reasons.
func Codes() []CodeDoc { return codes }

var codes = []CodeDoc{
	{Unrecorded, "refuse; adopt with --adopt", "Files at mtlsplan's paths, or a certificate that the CA has issued, are not in the CA database."},
	{Unreadable, "refuse", "The CA's key file holds no key that can be read."},
	{Removed, "retire; refuse beyond the guard", "The user is no longer in the spec: every unexpired certificate is revoked, and the files are retired."},
	{Moved, "rebuild; refuse where the new name is not free, or only differs in case and no moved block says so", "The user had another name before, and files and records get the new one."},
	{ReplaceAsked, "rekey", "--replace asks for a new key and revokes the certificates issued before."},
	{OverlapOver, "revoke", "A superseded certificate has outlived the overlap."},
	{Revoked, "rekey; retire where the spec says revoked; reissue of a CRL; repair of the database", "The certificate is revoked in the CA database and the user is still listed; or the spec says revoked; or the CRL and the CA database list different revocations."},
	{KeyMismatch, "rekey; refuse for a CA", "Key and certificate do not belong together, or the key is another user's."},
	{IssuerChanged, "rekey", "No CA in the CA certificate file has issued the certificate."},
	{KeyChanged, "rekey", "The type of key differs from the spec."},
	{SubjectChanged, "rekey", "The distinguished name differs from the spec."},
	{SANChanged, "rekey", "The certificate's subject alternative names differ from the spec."},
	{Missing, "create, rekey, rebuild or repair; refuse for a CA key", "A file that should be there is not."},
	{Expired, "rekey, or reissue with reuse_key and for a CRL; of a CA refuse past its end, reissue before its beginning", "The certificate or CRL is past its end; or it was made while the clock was ahead, and is not valid yet."},
	{Expiring, "rekey, or reissue with reuse_key and for a CA or CRL", "The certificate or CRL is within renew_before of its end."},
	{UsageChanged, "reissue", "The extensions or the signature of the certificate or CRL differ from what would be issued today."},
	{PassphraseChanged, "rebuild", "The file opens with a passphrase other than the spec's."},
	{EncodingChanged, "rebuild", "The encoding of the container differs from the spec: iterations, cipher or .p12 profile."},
	{SettingsChanged, "rebuild", "The site's settings have changed."},
	{Upstream, "rebuild", "A file or record that the file was made from has changed."},
	{Interrupted, "repair", "A run was interrupted after its point of no return; apply finishes it."},
	{Damaged, "repair", "The file cannot be read or was altered; it is made again from the key and the CA database. Or the next CRL number is not higher than that of the CRL in place."},
	{Mode, "repair", "The file's permission bits are wider than they may be, or a secret belongs to another user than the directory."},
}

// Strength orders reasons, the strongest first: it is the place in [Codes].
func Strength(c Code) int { return strengths[c] }

var strengths = func() map[Code]int {
	m := map[Code]int{}
	for i, c := range codes {
		m[c.Code] = i
	}
	return m
}()
