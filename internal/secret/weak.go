package secret

import (
	_ "embed"
	"math"
	"strings"
)

// lists are those of passwords, words and names of zxcvbn, each behind an empty line,
// the most frequent word first. Embedded they cost nothing until somebody asks; the
// libraries that hold them fill maps in every process. TestWordLists makes the file.
//
//go:embed words.txt
var lists string

// weakBits is how many bits make a passphrase strong: a thousand graphics cards
// that try 15,000 a second each, which is what 600,000 iterations leave of them,
// need a day for all of 40 bits.
const weakBits = 40

// judged is how much of a passphrase is looked at, in bytes: the time grows with
// the square of it.
const judged = 100

// Weak reports whether a passphrase would soon be guessed by somebody who has what
// it encrypts. The empty one is weak.
//
// It estimates as zxcvbn does (Wheeler, USENIX Security 2016), with the same lists,
// but fewer patterns: libraries for all of it take seconds for a passphrase that is
// made for that.
func Weak(v Value) bool { return estimate(v.Reveal()) < weakBits }

// part is a part of a passphrase that costs less to guess than its characters.
type part struct {
	from, to int
	bits     float64
}

// unleet undoes the usual substitutions.
var unleet = strings.NewReplacer("0", "o", "1", "l", "3", "e", "4", "a", "5", "s", "7", "t", "8", "b", "9", "g", "@", "a", "$", "s", "!", "i")

// estimate gives the bits of the cheapest way to put a passphrase together from
// parts and single characters.
func estimate(pass string) float64 {
	pass = pass[:min(len(pass), judged)]
	lower := strings.ToLower(pass)
	parts := append(words(lower, 0), runs(pass)...)
	if plain := unleet.Replace(lower); plain != lower {
		parts = append(parts, words(plain, 1)...)
	}
	ending := make([][]part, len(pass)+1)
	for _, p := range parts {
		if lower[p.from:p.to] != pass[p.from:p.to] {
			p.bits++ // mostly the first letter or all of them
		}
		ending[p.to] = append(ending[p.to], p)
	}
	least := make([]float64, len(pass)+1)
	for i := range pass {
		least[i+1] = least[i] + ofCharacter(pass[i])
		for _, p := range ending[i+1] {
			least[i+1] = min(least[i+1], least[p.from]+p.bits)
		}
	}
	return least[len(pass)]
}

// words finds the words of the lists. They cost what their ranks tell, and extra.
func words(text string, extra float64) (found []part) {
	rank := 0
	for line := range strings.Lines(lists) {
		word := line[:len(line)-1]
		if rank++; word == "" {
			rank = 0
		}
		if len(word) < 3 {
			continue // no cheaper than its letters
		}
		for from := 0; ; from++ {
			n := strings.Index(text[from:], word)
			if n < 0 {
				break
			}
			from += n
			found = append(found, part{from, from + len(word), math.Log2(float64(rank+1)) + extra})
		}
	}
	return found
}

// runs finds what repeats the characters before it, or goes on in their order, as
// "7" does behind "56" and "543".
func runs(text string) (found []part) {
	add := func(from, to, period int) {
		if to-from > 1 {
			found = append(found, part{from, to, math.Log2(float64(period * (to - from) * 2))})
		}
	}
	for period := 1; period < len(text); period++ {
		from := period
		for to := period; to < len(text); to++ {
			if text[to] != text[to-period] {
				from = to + 1
			}
			add(from, to+1, period)
		}
	}
	for _, step := range []byte{1, 0xff} {
		from := 1
		for to := 1; to < len(text); to++ {
			if text[to]-text[to-1] != step {
				from = to + 1
			}
			add(from, to+1, 1)
		}
	}
	return found
}

// ofCharacter gives the bits of a character that belongs to nothing.
func ofCharacter(c byte) float64 {
	switch {
	case '0' <= c && c <= '9':
		return math.Log2(10)
	case 'a' <= c && c <= 'z':
		return math.Log2(26)
	case 'A' <= c && c <= 'Z':
		return math.Log2(26) + 1
	}
	return math.Log2(33)
}
