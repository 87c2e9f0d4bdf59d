package main

import (
	"strings"

	"mtlsplan/spec"
)

// rosterDocs describes the file of a roster.
func rosterDocs(p page) {
	p.para("The extension of the file tells its kind. Each user has a `name` and any attributes of a user block; the defaults give the others. " +
		"The columns of a CSV file, and the keys in YAML and JSON, are `" + strings.Join(spec.RosterColumns(), "`, `") + "`.")
	p.table([]string{"kind", "meaning"}, [][]string{
		{".csv", "RFC 4180 in UTF-8, with or without a byte order mark; the first row names the columns."},
		{".yaml", "A list of mappings, each value on one line. Anchors, aliases, tags and further documents are errors. `.yml` is the same."},
		{".json", "A list of objects."},
	})
	p.para("An empty cell, an empty string and null mean that the attribute is not set. A list, such as `p12` or the words of `passphrase.command`, is separated by spaces; " +
		"in YAML and JSON it may also be a list, and attributes with a dot may be written as a mapping. " +
		"Every path in a roster is relative to the spec, not to the roster. Like a spec, a roster never holds a secret.")
	p.code("name,email,subject.organizational_unit,passphrase.env\nada,ada@example.com,Analysis,\ngrace,grace@example.com,\"Compilers, Navy\",GRACE_PASSPHRASE")
	p.code("- name: ada\n  email: ada@example.com\n  subject.organizational_unit: Analysis\n- name: grace\n  email: grace@example.com\n  passphrase:\n    env: GRACE_PASSPHRASE")
	p.code("[{\"name\": \"ada\", \"email\": \"ada@example.com\", \"p12\": [\"modern\", \"compat\"]}]")
}

func fileDocs(p page) {
	p.heading(2, "Files")
	p.para("In the output directory, for a CA `NAME` and a user `USER`; of a user's device, `USER` is `USER.DEVICE`:")
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
		{"db/rendered", "0600", "A checksum of each rendered file, as `sha256sum` writes them: a file whose checksum differs was changed by hand."},
		{"db/lock", "0600", "Names the run at work, and keeps when one ended well and what the last one said. It may be deleted while no run is at work."},
		{"db/rehearsal", "0600", "Marks a directory that was rehearsed in: only `--rehearsal` goes on in it."},
		{"db/cache", "0600", "A memory of the last run's reading, so that an unchanged file is not opened again. It may be deleted: the next run is slower."},
	})
}
