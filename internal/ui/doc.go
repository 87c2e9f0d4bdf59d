// Package ui turns plans, reports and documents into text, JSON and YAML.
//
// The rules of the interface:
//
//   - The answer goes to standard output, everything else to standard error.
//   - The same value gives the same bytes everywhere; only a terminal adds colour
//     and a progress bar, and NO_COLOR or TERM=dumb removes them.
//   - Nothing from a spec, a certificate or a file name reaches a terminal as
//     a control sequence: see [Clean].
//   - The wording and symbols of actions are rows of one table, words.go.
//   - A document has lower_snake_case keys and stable codes; sentences in it are
//     for people, and no script needs them.
//
// It decides nothing.
package ui
