package config

import "strings"

// ShortRecipient is a recipient as people tell it from others: a key of age whole, of an
// SSH key its type and the last characters of its text, in which it differs from others.
func ShortRecipient(r string) string {
	const most = 16
	kind, text, ssh := strings.Cut(r, " ")
	if !ssh {
		return r
	}
	return kind + " …" + text[max(0, len(text)-most):]
}

// ShortRecipients are several, as one text.
func ShortRecipients(list []string) string {
	short := make([]string, len(list))
	for i, r := range list {
		short[i] = ShortRecipient(r)
	}
	return strings.Join(short, ", ")
}
