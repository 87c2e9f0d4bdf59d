package main

import (
	"strings"

	"mtlsplan/spec"
)

// rosterDocs describes the file of a roster.
func rosterDocs(p page) {
	p.para("The extension of the file tells its format, or `format` does. Each user has a `name` and any attributes of a user block; the defaults give the others. " +
		"The columns of a CSV file, and the keys in YAML and JSON, are `" + strings.Join(spec.RosterColumns(), "`, `") + "`.")
	p.table([]string{"format", "meaning"}, [][]string{
		{"csv", "RFC 4180; the first row names the columns. Before it, a line `sep=;` as Excel has it, or `#TYPE` as PowerShell writes it, is understood."},
		{"yaml", "A list of mappings, each value on one line. Anchors, aliases, tags and further documents are errors."},
		{"json", "A list of objects."},
	})
	p.para("A list is UTF-8 or UTF-16, with or without a byte order mark. A CSV list that is neither is read as Windows-1252, of which Latin-1 is a part; a warning shows the first value that depends on it.")
	p.para("An empty cell, an empty string and null mean that the attribute is not set. A list, such as `p12` or the words of `passphrase.command`, is separated by spaces; " +
		"in YAML and JSON it may also be a list, and attributes with a dot may be written as a mapping. " +
		"Every path in a roster is relative to the spec, not to the roster. Like a spec, a roster never holds a secret.")
	p.code("name,email,subject.organizational_unit,passphrase.env\nada,ada@example.com,Analysis,\ngrace,grace@example.com,\"Compilers, Navy\",GRACE_PASSPHRASE")
	p.code("- name: ada\n  email: ada@example.com\n  subject.organizational_unit: Analysis\n- name: grace\n  email: grace@example.com\n  passphrase:\n    env: GRACE_PASSPHRASE")
	p.code("[{\"name\": \"ada\", \"email\": \"ada@example.com\", \"p12\": [\"modern\", \"compat\"]}]")
	elsewhereDocs(p)
}

// elsewhereDocs describes lists that other programs write.
func elsewhereDocs(p page) {
	p.heading(4, "Lists from elsewhere")
	p.para("A list that another program writes is taken as it is. `columns` says which of its columns are ours, and `where` which of its rows count. Columns that `columns` does not name are ignored, and never shown; spaces around the values of the others are dropped. " +
		"Without `columns`, a list with other names than ours is an error that shows its columns and says what to write.")
	p.code("roster \"directory\" {\n  file      = \"export.csv\"\n  separator = \";\"\n  columns   = { name = \"sAMAccountName\", email = \"mail\", \"subject.common_name\" = \"cn\" }\n  where     = { userAccountControl = [\"512\", \"66048\"] }\n}")
	p.table([]string{"from", "columns and where"}, [][]string{
		{"Get-ADUser -Filter * -Properties EmailAddress, Export-Csv", "`columns = { name = \"SamAccountName\", email = \"EmailAddress\" }`, `where = { Enabled = [\"True\"] }`"},
		{"csvde -f export.csv", "`columns = { name = \"sAMAccountName\", email = \"mail\" }`, `where = { userAccountControl = [\"512\", \"66048\"] }`"},
		{"Microsoft Entra, Download users", "`columns = { name = \"userPrincipalName\", email = \"mail\" }`, `where = { accountEnabled = [\"True\"] }`"},
		{"Microsoft 365, Export users", "`columns = { name = \"User principal name\", email = \"User principal name\" }`, `where = { \"Block credential\" = [\"False\"] }`"},
		{"Google Admin console, Download users", "`columns = { name = \"Email Address [Required]\", email = \"Email Address [Required]\" }`, `where = { \"Status [READ ONLY]\" = [\"Active\"] }`"},
		{"gam print users", "`columns = { name = \"primaryEmail\", email = \"primaryEmail\" }`, `where = { suspended = [\"False\"] }`"},
		{"Okta, CSV", "`columns = { name = \"login\", email = \"email\" }`, `where = { status = [\"ACTIVE\"] }`"},
		{"Okta, /api/v1/users", "`columns = { name = \"profile.login\", email = \"profile.email\" }`, `where = { status = [\"ACTIVE\"] }`"},
		{"Apache Directory Studio, phpLDAPadmin", "`columns = { name = \"uid\", email = \"mail\" }`"},
	})
	p.para("With `command`, the list is what a program prints. It runs in the directory of the spec, without a shell and without input, for five minutes at most, whenever a command reads the spec; the shell's completion does not run it. " +
		"Of the environment it gets " + "`" + strings.Join(spec.RosterVariables, "`, `") + "`, `LC_*` and `XDG_*`, so a token that it needs has to be in a file. " +
		"Its standard error is discarded. If it ends with a status other than 0, or prints no users, nothing is done.")
	p.code("roster \"directory\" {\n  command = [\"./export-users\", \"--active\"]\n  format  = \"json\"\n  columns = { name = \"profile.login\", email = \"profile.email\" }\n}")
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
		{"secrets/", "0700", "Generated passphrases, one a file: `ca.NAME.pass`, `USER-NAME.pass`; sealed ones `ca.NAME.pass.age`, `USER-NAME.pass.age`, which the age program opens."},
		{"db/", "0700", "The CA database, in OpenSSL's own formats, and `issued.pem`: every certificate ever issued. Keep it: it cannot be made again."},
		{"db/rendered", "0600", "A checksum of each rendered file, as `sha256sum` writes them: a file whose checksum differs was changed by hand."},
		{"db/lock", "0600", "Names the run at work, and keeps when one ended well and what the last one said. It may be deleted while no run is at work."},
		{"db/rehearsal", "0600", "Marks a directory that was rehearsed in: only `--rehearsal` goes on in it."},
		{"db/handouts", "0600", "What users were handed out: a line for each, with the SHA-256 of the certificate, the time and the owner. Where it is lost, everybody counts as waiting for the newest."},
		{"db/sealed.json", "0600", "To whom each sealed passphrase is sealed, with the SHA-256 of its file. Where it is lost, passphrases are sealed anew."},
		{"db/cache", "0600", "A memory of the last run's reading, so that an unchanged file is not opened again. It may be deleted: the next run is slower."},
	})
}
