// Package ui turns the engine's values into what people and programs read:
// text, JSON and YAML.
//
// The rules of the interface:
//
//   - The answer goes to standard output, everything else to standard error.
//   - The same value gives the same bytes, whoever asks; only a terminal adds
//     colour and a progress bar, and NO_COLOR or TERM=dumb takes them away.
//   - Nothing from a spec, a certificate or a file name reaches a terminal as
//     a control sequence: see [Clean].
//   - The wording and symbols of actions are rows of one table, words.go.
//
// It decides nothing: what is planned, and why, is the engine's.
package ui
