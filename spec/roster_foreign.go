package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A list from elsewhere has names for its columns that are not ours. They are
// recognised, so that no such row is taken for a user, and so that the message can
// say which column is probably which. Names are compared by [bareName].

// loginColumns may have the names of the users, the best one first.
var loginColumns = bareNames("sAMAccountName", "userPrincipalName", "User logon name", "uid", "profile.login", "login", "Login name",
	"Logon name", "loginId", "username", "userName", "User", "Account", "Account name", "primaryEmail", "Email Address [Required]", "mailNickname",
	"Benutzername", "Anmeldename", "Benutzer", "Benutzerkennung", "Kennung", "identifiant", "nom d'utilisateur", "usuario", "nombre de usuario", "utente", "nome utente",
	"mail", "email", "E-Mail", "Email Address", "E-Mail-Adresse", "cn")

// mailColumns may have their addresses.
var mailColumns = bareNames("mail", "profile.email", "email", "E-Mail", "emailAddress", "Email Address [Required]", "primaryEmail", "E-Mail Address",
	"primarySmtpAddress", "WindowsEmailAddress", "Work Email", "User Email", "Mailadresse", "E-Mail-Adresse", "adresse e-mail", "adresse mail", "courriel", "correo", "correo electrónico",
	"posta elettronica", "userPrincipalName")

// isLogin reports whether a name can only be that of a column with users' names.
func isLogin(name string) bool {
	bare := bareName(name)
	return bare != "cn" && slices.Contains(loginColumns, bare) && !slices.Contains(mailColumns, bare) || bare == "userprincipalname"
}

// statusColumns tell who has left, and what they say of those who have not.
var statusColumns = []struct {
	name   string
	active []string
}{
	{bareName("accountEnabled"), []string{"True"}},
	{bareName("Enabled"), []string{"True"}},
	{bareName("userAccountControl"), []string{"512", "66048"}}, // a normal account, and one whose password never expires
	{bareName("Status [READ ONLY]"), []string{"Active"}},
	{bareName("status"), []string{"Active"}},
	{bareName("suspended"), []string{"False"}},
	{bareName("Block credential"), []string{"False"}},
}

// otherColumns are more names that nothing but a directory's column has.
var otherColumns = bareNames("distinguishedName", "objectGUID", "objectSid", "objectId", "objectClass", "givenName", "displayName", "surname", "userAccountControl",
	"First name", "First Name [Required]", "Last name", "Last Name [Required]", "Middle name", "Full name", "familyName", "name.givenName", "name.familyName", "name.fullName", "profile.firstName", "profile.lastName",
	"Org Unit Path [Required]", "orgUnitPath", "telephoneNumber", "mobilePhone", "Phone number", "jobTitle", "employeeId", "employeeNumber", "Employee Type", "userType",
	"whenCreated", "whenChanged", "lastLogonDate", "Last Sign In [READ ONLY]", "memberOf", "businessPhones", "officeLocation", "usageLocation", "physicalDeliveryOfficeName", "Object Id", "proxyAddresses",
	"lastLogin", "profileUrl", "userId", "secondEmail", "costCenter", "Vorname", "Nachname", "Anzeigename", "prénom", "nom de famille", "apellidos", "cognome")

// weakColumns are such names that could as well be something else.
var weakColumns = bareNames("id", "dn", "sn", "ou", "o", "name", "title", "department", "division", "company", "office", "city", "state", "country", "phone", "mobile", "manager", "group", "role",
	"active", "created", "initials", "description", "SID", "Abteilung", "Firma", "Telefon", "nom", "nombre", "nome", "service", "Locked", "Licenses", "manager.name", "suspended", "enabled", "status")

// bareName is a name without regard to case, spaces and punctuation.
func bareName(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

func bareNames(names ...string) []string {
	for i, n := range names {
		names[i] = bareName(n)
	}
	return names
}

// foreign reports whether these are names of the columns of another program,
// and cannot be a user.
func foreign(names []string) bool {
	points := 0
	for _, n := range names {
		points += foreignness(n)
	}
	return points >= 2 && !slices.ContainsFunc(names, isValue)
}

// isValue reports whether something cannot be the name of a column: an address or
// a number.
func isValue(cell string) bool {
	return strings.Contains(cell, "@") || cell != "" && strings.Trim(cell, "0123456789 ") == ""
}

// foreignness is 2 for a name that only another program's column has, 1 for one
// that such a column may have, 0 for any other.
func foreignness(name string) int {
	bare := bareName(name)
	switch {
	case bare == "":
		return 0
	case slices.Contains(otherColumns, bare), len(bare) > 7 && (slices.Contains(loginColumns, bare) || slices.Contains(mailColumns, bare)):
		return 2
	case slices.Contains(loginColumns, bare), slices.Contains(mailColumns, bare), slices.Contains(weakColumns, bare):
		return 1
	}
	return 0
}

// fromElsewhere reports whether a list with these columns, of which some are ours,
// was made by another program all the same: ours would have a column of names, or
// others that only we have.
func fromElsewhere(names []string) bool {
	strange, login := false, false
	for _, n := range names {
		switch c := columnByName[n]; {
		case c != nil && !slices.Contains([]string{"name", "email", "groups"}, n):
			return false
		case c == nil && nearColumn(n) == "" && foreignness(n) > 0:
			strange = true
			login = login || isLogin(n)
		}
	}
	return strange && foreign(names) && (login || !slices.Contains(names, columns[0].name))
}

// mostNames is how many names of columns are shown.
const mostNames = 40

// theirNames lists the columns of a list. Their names are no secrets.
func theirNames(names []string) string {
	var shown []string
	for _, n := range names {
		if n != "" {
			shown = append(shown, strconv.Quote(cut(n)))
		}
	}
	more := ""
	if n := len(shown) - mostNames; n > 0 {
		shown, more = shown[:mostNames], fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(shown, ", ") + more
}

// mappingAdvice says what to write for a list with these columns. values gives what is
// found in one of them; nil where that is not known.
func mappingAdvice(names []string, values func(column string) *tally) string {
	pick := func(from []string) string {
		for _, want := range from {
			for _, n := range names {
				if bareName(n) == want {
					return n
				}
			}
		}
		return ""
	}
	login, mail := pick(loginColumns), pick(mailColumns)
	if i := slices.IndexFunc(names, func(n string) bool { return strings.Contains(bareName(n), "mail") }); mail == "" && i >= 0 {
		mail = names[i]
	}
	text := "Say in the roster block which is which; the others are then ignored:\ncolumns = { name = " + hclText(login)
	if login == "" {
		text = "Say in the roster block which column has the users' names, in place of …; the others are then ignored:\ncolumns = { name = \"…\""
	}
	if mail != "" {
		text += ", email = " + hclText(mail)
	}
	text += " }"
	for _, s := range statusColumns {
		have := pick([]string{s.name})
		if have == "" {
			continue
		}
		var found *tally
		if values != nil {
			found = values(have)
		}
		count, known := []string{hclText("…")}, found == nil || found.shown(true) == ""
		if known || slices.ContainsFunc(s.active, found.has) {
			count = nil
			for _, v := range s.active {
				count = append(count, hclText(v))
			}
		}
		where := "where = { " + hclKey(have) + " = [" + strings.Join(count, ", ") + "] }"
		if known {
			return text + "\nTo leave out those who have left, where the column has these values:\n" + where
		}
		return text + "\nTo leave out those who have left, say which values count; the column has " + found.shown(true) + ":\n" + where
	}
	return text
}

// tally is what a column of a list says, if that is little: it is shown to help with a
// condition, and must show no names, addresses or secrets.
type tally struct {
	values []string // without regard to case
	rows   int
	other  bool // it also has what is not shown
}

const (
	mostValues   = 5
	longestValue = 24 // in characters
)

func (t *tally) add(value string) {
	t.rows++
	value = strings.TrimSpace(value)
	switch {
	case t.other || t.has(value):
	case value == "":
		t.values = append(t.values, value)
	case len(t.values) == mostValues, utf8.RuneCountInString(value) > longestValue, strings.Contains(value, "@"):
		t.other = true
	default:
		t.values = append(t.values, value)
	}
}

func (t *tally) has(value string) bool {
	return slices.ContainsFunc(t.values, func(v string) bool { return strings.EqualFold(v, value) })
}

// shown lists the values, "" where they are not to be shown: of a column that is not known
// for telling who has left, the values have to stand in two rows each on average.
func (t *tally) shown(status bool) string {
	if t.other || len(t.values) == 0 || !status && 2*len(t.values) > t.rows {
		return ""
	}
	var list []string
	for _, v := range t.values {
		list = append(list, strconv.Quote(v))
	}
	if last := len(list) - 1; last > 0 {
		return strings.Join(list[:last], ", ") + " and " + list[last]
	}
	return list[0]
}

// isStatus reports whether a column is known for telling who has left.
func isStatus(column string) bool {
	for _, s := range statusColumns {
		if s.name == bareName(column) {
			return true
		}
	}
	return false
}

// namesElsewhere says what to write where the users' names are in another of our
// columns.
func namesElsewhere(names []string) string {
	if !slices.Contains(names, "email") {
		return ""
	}
	text := " If their names are their addresses, say so in the roster block:\ncolumns = { name = \"email\""
	for _, n := range names {
		if columnByName[n] != nil {
			text += ", " + hclKey(n) + " = " + hclText(n)
		}
	}
	return text + " }"
}

// hclText is a text in the language of a spec.
func hclText(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(strconv.Quote(s))
}

// hclKey is the name of a member of an object.
func hclKey(s string) string {
	if envName.MatchString(s) {
		return s
	}
	return hclText(s)
}
