package main

import (
	"strings"

	"mtlsplan/spec"
)

// rosterDocs says what is in a roster's file.
func rosterDocs(p page) {
	p.para("The ending of the file tells its kind. Each user has a `name` and what a user block could say; what is not said comes from the defaults. " +
		"The columns of a CSV file, and the keys in YAML and JSON, are `" + strings.Join(spec.RosterColumns(), "`, `") + "`.")
	p.table([]string{"kind", "meaning"}, [][]string{
		{".csv", "RFC 4180 in UTF-8, with or without a byte order mark; the first row names the columns."},
		{".yaml", "A list of mappings, each value on one line. Anchors, aliases, tags and further documents are errors. `.yml` is the same."},
		{".json", "A list of objects."},
	})
	p.para("An empty cell, an empty text and null are an attribute that is not said. A list, such as `p12` or the words of `passphrase.command`, is separated by blanks; " +
		"in YAML and JSON it may be a list, too, and what is behind a dot may stand in a mapping of its own. " +
		"Every path in a roster is relative to the spec, not to the roster. A roster holds no secret, as little as a spec does.")
	p.code("name,email,subject.organizational_unit,passphrase.env\nada,ada@example.com,Analysis,\ngrace,grace@example.com,\"Compilers, Navy\",GRACE_PASSPHRASE")
	p.code("- name: ada\n  email: ada@example.com\n  subject.organizational_unit: Analysis\n- name: grace\n  email: grace@example.com\n  passphrase:\n    env: GRACE_PASSPHRASE")
	p.code("[{\"name\": \"ada\", \"email\": \"ada@example.com\", \"p12\": [\"modern\", \"compat\"]}]")
}

// What programs read, and what lies in the output directory. The tests
// of internal/ui and the scripts hold the documents to what is said here.

func documentDocs(p page) {
	p.heading(2, "JSON and YAML")
	p.para("With `--format json` or `--format yaml` the answer is one document. Both have the same keys. `format_version` is 1; " +
		"it rises when a key is removed or changes its meaning, not when one is added. Times are RFC 3339 in UTC. Lists are never null.")
	keys := []string{"key", "meaning"}
	p.heading(3, "plan and apply")
	p.table(keys, [][]string{
		{"at", "The time that the plan was made for."},
		{"steps", "List of `owner`, `action`, `artefacts`, `reasons`, `not_after` (of the certificate or CRL that the step makes) and " +
			"`reimport` (true: the user must import a new .p12)."},
		{"steps[].artefacts", "What the step writes: `pass`, `key`, `csr`, `crt`, `p12`, of a second profile `modern.p12` or `compat.p12`, `crl`, `site`, `db`. A `pass` that is removed is named too."},
		{"steps[].reasons", "List of `code`, `message`, and where they say more `field`, `have` and `want`; strongest first."},
		{"summary", "Number of steps by action, for each action that occurs, and always `unchanged` (owners) and `reimports` (users who must import a new .p12)."},
		{"notes", "List of `owner`, `warning` and `message`: what to know, and what changes nothing."},
		{"failures", "List of `owner` and `message`: owners that could not be judged or, of apply, were left as they are."},
		{"applied", "Of apply only: the owners whose steps are done, in that order."},
	})
	p.heading(3, "show")
	p.table(keys, [][]string{
		{"owner", "The owner in full."},
		{"certificates", "Newest first: `serial`, `subject`, `issuer`, `not_before`, `not_after`, `emails`, `sha256` (of the DER), `pem`."},
		{"files", "List of `kind`, `path`, `mode`, `state` and `facts` (`name`, `value`)."},
		{"issued", "What the CA database holds: `serial`, `state`, `not_after`, `revoked_at`, `reason`, `subject`; oldest first."},
		{"step", "What apply would do, as in a plan; null for nothing."},
		{"failures", "As in a plan."},
	})
	p.heading(3, "validate")
	p.table(keys, [][]string{
		{"valid", "Whether there is no error."},
		{"diagnostics", "List of `severity` (`error` or `warning`), `summary`, `detail`, `file`, `line`, `column`, `end_line`, `end_column`; lines and columns from 1."},
	})
	p.heading(3, "render and version")
	p.table(keys, [][]string{
		{"owner, text", "Of render: the site's owner and its whole text."},
		{"version, go, platform, revision, time, modified", "Of version: the module's version, the Go release, the system, and the commit."},
	})
}

func fileDocs(p page) {
	p.heading(2, "Files")
	p.para("In the output directory, for a CA `NAME` and a user `USER`:")
	p.table([]string{"file", "mode", "holds"}, [][]string{
		{"ca.NAME.key", "0600", "The CA's key, encrypted PKCS #8."},
		{"ca.NAME.crt", "0644", "The CA certificate."},
		{"ca.NAME.crl", "0644", "The CRL."},
		{"USER-NAME.key", "0600", "The user's key, encrypted PKCS #8."},
		{"USER-NAME.csr", "0644", "The certificate signing request."},
		{"USER-NAME.crt", "0644", "The certificate."},
		{"USER-NAME.p12", "0600", "Key, certificate and CA certificate for the user to import, in the first profile of `p12`."},
		{"USER-NAME.modern.p12", "0600", "The same in a second profile; USER-NAME.compat.p12 when `modern` is the first."},
		{"nginx/SITE", "0644", "The rendered site."},
		{"secrets/", "0700", "Generated passphrases, one a file: `ca.NAME.pass`, `USER-NAME.pass`."},
		{"db/", "0700", "The CA database, in OpenSSL's own formats, and `issued.pem`: every certificate ever issued. Keep it: it cannot be made again."},
	})
}
