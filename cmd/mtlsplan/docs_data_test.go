package main

// What programs read, and what lies in the output directory. The tests
// of internal/ui and the scripts hold the documents to what is said here.

func documentDocs(p page) {
	p.heading(2, "JSON and YAML")
	p.para("With `--format json` or `--format yaml` the answer is one document. Both have the same keys. `format_version` is 1; " +
		"it rises when a key is removed or changes its meaning, not when one is added. Times are RFC 3339 in UTC. Lists are never null.")
	keys := []string{"key", "meaning"}
	p.heading(3, "plan and apply")
	p.table(keys, [][]string{
		{"at", "What stood for now."},
		{"steps", "List of `owner`, `action`, `artefacts`, `reasons`, `not_after` (of the certificate or CRL that the step makes) and " +
			"`reimport` (true: the user must import a new .p12)."},
		{"steps[].artefacts", "What the step writes: `pass`, `key`, `csr`, `crt`, `p12`, `modern.p12`, `crl`, `site`, `db`."},
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
		{"USER-NAME.p12", "0600", "Key, certificate and CA certificate for the user to import."},
		{"nginx/SITE", "0644", "The rendered site."},
		{"secrets/", "0700", "Generated passphrases, one a file: `ca.NAME.pass`, `USER-NAME.pass`."},
		{"db/", "0700", "The CA database, in OpenSSL's own formats, and `issued.pem`: every certificate ever issued. Keep it: it cannot be made again."},
	})
}
