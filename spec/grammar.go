package spec

// scope is a kind of block, or several of them.
type scope uint16

const (
	inFile scope = 1 << iota
	inCA
	inDefaults
	inUser
	inRoster
	inGuard
	inCRL
	inSubject
	inMoved
	inSeal    // of the whole file
	inSealFor // of some users: recipients alone
	inSite    // its attributes are the rows of a [render.Proxy]
)

// attribute is one row of the language: the blocks that it may be in, what reads
// it, and what the reference says of it.
type attribute struct {
	name    string
	in      scope
	read    func(*loader, target, value)
	secret  bool // names a secret; a literal must never be shown
	initial string
	doc     string
}

// block is one kind of block.
type block struct {
	name    string
	in      scope // the blocks that it may be in
	is      scope // its own kind
	labeled bool
	single  bool // at most one in the block around it
	doc     string
}

var blocks = []block{
	{"ca", inFile, inCA, true, true, "The certificate authority. A spec has exactly one."},
	{"defaults", inFile, inDefaults, false, true, "The attributes of every user who does not set them."},
	{"user", inFile, inUser, true, false, "A person or program that is to have access. The label is the user's name."},
	{"roster", inFile, inRoster, true, false, "A list of many users, beside those of the user blocks: a file, or what a program prints. One that is missing, empty or malformed is an error, and nothing is done."},
	{"moved", inFile, inMoved, false, false, "A user who was called otherwise before, or has devices now: nobody is revoked, and files and records get the new name. What the new name changes in the certificate comes with a new key, while the old certificate stays valid. Once it is done, the block can be removed."},
	{"guard", inFile, inGuard, false, true, "Limits on what one run may revoke."},
	{"subject", inCA | inDefaults | inUser, inSubject, false, true, "The distinguished name. A user inherits all but `common_name` and `email` from the defaults and the CA."},
	{"seal", inFile, inSeal, false, true, "To whom generated passphrases are encrypted, that of the CA too: they are stored as `secrets/NAME.pass.age`, never in clear, and the age program opens them. See docs/seal.md."},
	{"seal", inDefaults | inUser, inSealFor, false, true, "Further recipients of the users' passphrases, beside those of the file's `seal` block."},
	{"crl", inCA, inCRL, false, true, "The certificate revocation list."},
}

var attributes = append([]attribute{
	{"output", inFile, func(l *loader, to target, v value) { to.file.output = l.path(v) }, false,
		"`\"pki\"`", "The output directory, relative to the spec. `--output` overrides it."},
	{"version_control", inFile, func(l *loader, to target, v value) { to.file.versionControl = l.boolean(v) }, false,
		"`false`", "The output directory lies in a git repository. `.gitignore` and `.gitattributes` are kept there, modes of files are set without a word, a plaintext passphrase is refused, and every site has to say where the proxy's host has `client_ca` (and `crl`)."},
	{"key", inCA | inDefaults | inUser, func(l *loader, to target, v value) { to.issuance.key = l.keyType(v) }, false,
		"`\"rsa-4096\"` of the CA, `\"ecdsa-p256\"` of users", "Type of key: `rsa-2048`, `rsa-3072`, `rsa-4096`, `ecdsa-p256`, `ecdsa-p384`, `ed25519`."},
	{"validity", inCA | inDefaults | inUser | inCRL, func(l *loader, to target, v value) { to.lifetime.validity = l.duration(v) }, false,
		"`\"3650d\"` of the CA, `\"365d\"` of users, `\"30d\"` of the CRL", "How long a certificate or CRL is valid: a number and `h`, `d`, `w` or `y` (365 d)."},
	{"renew_before", inCA | inDefaults | inUser | inCRL, func(l *loader, to target, v value) { to.lifetime.renewBefore = l.duration(v) }, false,
		"a third of `validity`, of users at most `\"30d\"`", "How long before its end a certificate or CRL is due. Shorter than `validity`."},
	{"renew_spread", inDefaults | inUser, func(l *loader, to target, v value) { to.defaults.renewSpread = l.span(v, true) }, false,
		"a third of `renew_before`, at most half of `validity` - `renew_before`", "Users made on one day fall due spread over this long before `renew_before`, each by a share of it that stays the same. `\"0d\"`: all on one day. Together with `renew_before` shorter than `validity`."},
	{"reuse_key", inDefaults | inUser, func(l *loader, to target, v value) { to.defaults.reuseKey = l.boolean(v) }, false,
		"`false`", "Whether a renewal keeps the key."},
	{"passphrase", inCA | inDefaults | inUser, func(l *loader, to target, v value) { to.issuance.passphrase = l.secretRef(v) }, true,
		"`{ generate = true }`", "Where the passphrase of the key and the .p12 is: `{ env = \"V\" }`, `{ file = \"p\" }`, `{ command = [\"pass\", \"show\", \"x\"] }` or `{ generate = true }`."},
	{"previous_passphrase", inCA | inUser, func(l *loader, to target, v value) { to.owner.previousPassphrase = l.secretRef(v) }, true,
		"none", "Where the passphrase is that the key is still encrypted with. Its files are then rebuilt under the new one."},
	{"challenge_password", inUser, func(l *loader, to target, v value) { to.user.challengePassword = l.secretRef(v) }, true,
		"none", "Where the PKCS #9 challenge password of the CSR is. A CSR is not encrypted."},
	{"p12", inDefaults | inUser, func(l *loader, to target, v value) { to.defaults.p12 = l.profiles(v) }, false,
		"`[\"compat\"]`", "Encodings of the .p12: " + profileDocs() + ". The first gives X.p12, the second X.PROFILE.p12."},
	{"kdf_iterations", inCA | inDefaults | inUser, func(l *loader, to target, v value) { to.issuance.kdfIterations = l.integer(v, 1000, 5_000_000) }, false,
		"`2048` with a generated passphrase, otherwise `600000`", "Iterations of the key derivation, of the key file and of every .p12: 1000 to 5000000, at least 2048 for `compat`."},
	{"generation", inCA, func(l *loader, to target, v value) { to.ca.generation = l.generation(v) }, false,
		"`1`", "Raised by one to roll over to a new CA key."},
	{"compromised", inCA, func(l *loader, to target, v value) { to.ca.compromised = l.generations(v) }, false,
		"none", "Earlier generations, as in `[1]`, whose key somebody else has: at once nobody trusts them, their certificates are revoked (`cACompromise`), and their users get new ones."},
	{"email", inUser, func(l *loader, to target, v value) { to.user.email = l.string(v) }, false,
		"none", "The user's e-mail address, in the DN and in the SAN."},
	{"csr", inUser, func(l *loader, to target, v value) { to.user.csr = l.path(v) }, false,
		"none", "Path to a CSR in PEM made by the user, who keeps the key. Only the certificate is issued; attributes of the key, the passphrase and the .p12 are errors."},
	{"revoked", inUser, func(l *loader, to target, v value) { to.user.revoked = l.reason(v) }, false,
		"none", "An RFC 5280 reason. The user stays listed and has no valid certificate."},
	{"devices", inUser, func(l *loader, to target, v value) { to.user.devices = l.devices(v) }, false,
		"none", "The user's devices, as in `[\"laptop\", \"phone\"]`: each has a key, a certificate and a .p12 of its own, as user.NAME:DEVICE, in files NAME.DEVICE-CA.*. They share the e-mail address. Taking one off the list revokes that one alone."},
	{"overlap", inDefaults | inUser, func(l *loader, to target, v value) { to.defaults.overlap = l.duration(v) }, false,
		"none", "How long after a renewal the superseded certificate is revoked."},
	{"groups", inDefaults | inUser, func(l *loader, to target, v value) { to.defaults.groups = l.groups(v) }, false,
		"none", "Words that sites let in by (`allow_groups`) and tell the application (`headers`). A user's list replaces that of the defaults."},
	{"max_revocations", inGuard, func(l *loader, to target, v value) { to.guard.maxRevocations = l.integer(v, 0, 1<<31-1) }, false,
		"10 % of the active users, at least 1", "How many users one run may leave without a valid certificate."},
	{"recipients", inSeal | inSealFor, func(l *loader, to target, v value) { *to.recipients = l.recipients(v, to.in == inSeal) }, false,
		"required", "Who can read the passphrases: `\"age1…\"` of age-keygen, or the line of a .pub file, `\"ssh-ed25519 AAAA…\"` or `\"ssh-rsa AAAA…\"`. In a cell of a roster they are separated by spaces. `[]` in the file's block, with an `identity`: what was sealed is stored in clear again."},
	{"identity", inSeal, func(l *loader, to target, v value) { to.seal.identity = l.identity(v) }, true,
		"none: what is sealed is not opened here", "Where the private key of one of the recipients is: `{ env = \"V\" }`, `{ file = \"p\" }` or `{ command = [\"pass\", \"show\", \"x\"] }`. It is the file of age-keygen, or an SSH key without a passphrase."},
	{"from", inMoved, func(l *loader, to target, v value) { to.moved.from = l.movedUser(v) }, false,
		"required", "What the user was before: `\"user.NAME\"` or `\"user.NAME:DEVICE\"`, not in the spec any more."},
	{"to", inMoved, func(l *loader, to target, v value) { to.moved.to = l.movedUser(v) }, false,
		"required", "What the user is now, as the spec has it."},
	{"file", inRoster, func(l *loader, to target, v value) { to.roster.file = l.rosterFile(v) }, false,
		"required, or `command`", "The list, relative to the spec. Its extension tells its format: .csv, .yaml, .yml or .json."},
	{"command", inRoster, func(l *loader, to target, v value) { to.roster.command = l.rosterCommand(v) }, false,
		"none", "A program and its arguments, as in `[\"./export-users\"]`: the list is what it prints. It is run in the directory of the spec, without a shell, whenever the spec is read. A status other than 0, or no users, is an error."},
	{"format", inRoster, func(l *loader, to target, v value) { to.roster.format = l.rosterFormat(v) }, false,
		"by the extension of `file`; required with `command`", "`csv`, `yaml` or `json`."},
	{"separator", inRoster, func(l *loader, to target, v value) { to.roster.separator = l.separator(v) }, false,
		"`\",\"`", "What separates the cells of a CSV list: one character, `\"\\t\"` for a tab. A first line `sep=;` is understood by itself."},
	{"columns", inRoster, func(l *loader, to target, v value) { to.roster.columns = l.theirColumns(v) }, false,
		"ours", "Which columns of a list from elsewhere are which of ours, as in `{ name = \"sAMAccountName\", email = \"mail\" }`; the others are then ignored. In YAML and JSON, a column in a mapping is written with a dot: `\"profile.login\"`."},
	{"where", inRoster, func(l *loader, to target, v value) { to.roster.where = l.conditions(v) }, false,
		"all", "Which rows count, by columns of the list, as in `{ status = [\"active\"] }`; the others are as if they were not there. Of several columns each must fit; case does not matter."},
}, subjectAttributes()...)
