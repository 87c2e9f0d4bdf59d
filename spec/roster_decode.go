package spec

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

var byteOrderMark = []byte("\ufeff")

// decoded is the text of a list in UTF-8, without a byte order mark. UTF-16, which
// PowerShell and Excel write, is known by its mark or by its zero bytes. A CSV list
// that is not UTF-8 is taken for Windows-1252, of which Latin-1 is a part; guessed
// says so. What cannot be decoded is returned as it is, and fault says why.
func decoded(text []byte, format string) (out []byte, guessed bool, fault string) {
	if order, mark := utf16Order(text); order != nil {
		return fromUTF16(text, order, mark)
	}
	text = bytes.TrimPrefix(text, byteOrderMark)
	if format != "csv" || utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 || holdsUTF8(text) {
		return text, false, ""
	}
	if out, ok := fromWindows1252(text); ok {
		return out, true, ""
	}
	return text, false, ""
}

var ldif = regexp.MustCompile(`^(?:#[^\n]*\n|version: *1\s|\s)*dn::? `)

// otherKind says what a file is that is no list in any format, "" where it may be one.
func otherKind(text []byte, format string) string {
	switch {
	case bytes.HasPrefix(text, []byte("PK\x03\x04")), bytes.HasPrefix(text, []byte("\xd0\xcf\x11\xe0")):
		return "This is a workbook or an archive. A roster is text: save the list as CSV."
	case bytes.HasPrefix(bytes.TrimLeft(text[:min(len(text), 1<<10)], " \t\r\n"), []byte("<")):
		return "This is a web page or XML, not a list. Did a page to log in come instead of it? A roster is CSV, YAML or JSON."
	case format == "csv" && ldif.Match(text[:min(len(text), 64<<10)]):
		return "This is LDIF, as ldapsearch writes it. A roster is CSV, YAML or JSON: export the entries as CSV."
	}
	return ""
}

// utf16Order is the byte order of a text in UTF-16, nil for any other. Without a
// mark, every other byte of what such lists begin with, ASCII, is zero.
func utf16Order(text []byte) (order binary.ByteOrder, mark int) {
	switch {
	case bytes.HasPrefix(text, []byte("\xff\xfe")):
		return binary.LittleEndian, 2
	case bytes.HasPrefix(text, []byte("\xfe\xff")):
		return binary.BigEndian, 2
	case len(text) < 4:
		return nil, 0
	case text[0] != 0 && text[1] == 0 && text[2] != 0 && text[3] == 0:
		return binary.LittleEndian, 0
	case text[0] == 0 && text[1] != 0 && text[2] == 0 && text[3] != 0:
		return binary.BigEndian, 0
	}
	return nil, 0
}

func fromUTF16(text []byte, order binary.ByteOrder, mark int) (out []byte, guessed bool, fault string) {
	if len(text)%2 != 0 {
		return text, false, "This is UTF-16, and it ends in the middle of a character: was it cut short? Get the whole file."
	}
	units := make([]uint16, 0, len(text)/2)
	for at := mark; at < len(text); at += 2 {
		units = append(units, order.Uint16(text[at:]))
	}
	out = make([]byte, 0, len(units))
	for i := 0; i < len(units); i++ {
		r := rune(units[i])
		if utf16.IsSurrogate(r) {
			if i++; i == len(units) {
				return text, false, "This is UTF-16, and it ends in the middle of a character: was it cut short? Get the whole file."
			}
			if r = utf16.DecodeRune(r, rune(units[i])); r == utf8.RuneError {
				return text, false, "This seems to be UTF-16, and is damaged. Save it as UTF-8."
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return out, false, ""
}

// holdsUTF8 reports whether a text that is not UTF-8 has a character in UTF-8, and
// so is a damaged one rather than one in another encoding.
func holdsUTF8(text []byte) bool {
	for len(text) > 0 {
		i := slices.IndexFunc(text, func(c byte) bool { return c >= utf8.RuneSelf })
		if i < 0 {
			return false
		}
		if r, n := utf8.DecodeRune(text[i:]); r != utf8.RuneError || n > 1 {
			return true
		}
		text = text[i+1:]
	}
	return false
}

// windows1252 is what 0x80 to 0x9f mean, by the index of the WHATWG Encoding
// Standard; 0 where they mean control characters.
var windows1252 = [32]rune{
	'€', 0, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0, 'Ž', 0,
	0, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0, 'ž', 'Ÿ',
}

func fromWindows1252(text []byte) (out []byte, ok bool) {
	out = make([]byte, 0, len(text)+len(text)/16)
	for _, c := range text {
		r := rune(c)
		if c >= 0x80 && c < 0xa0 {
			if r = windows1252[c-0x80]; r == 0 {
				return nil, false
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return out, true
}
