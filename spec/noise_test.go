package spec

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestNoiseIsAnsweredSoon repeats short pieces of anything to 300 kB. HCL's
// parser takes time that grows with the square for some of them, half a minute
// then.
func TestNoiseIsAnsweredSoon(t *testing.T) {
	if testing.Short() {
		t.Skip("make test runs it")
	}
	parts := []string{`"`, `""`, `${`, `%{`, `$${`, `$`, `%`, "$ ", "x ", "}", "{", "[", "]", "(", ")", `\`, `\n`, "\n", "\r\n", "#", "//", "/*", "*/", "<<EOT\n", "<<-EOT\n", "EOT\n",
		"a", " ", "é", "'", "=", ",", ":", ".", "-", "!", "?", "1", "a = ", "a {\n", "user \"a\" {\n", "passphrase = ", "b = 1\n"}
	heads := []string{"", "a = ", "a = \"", "a = [", "a = {", "a = <<-EOT\n", "a = <<EOT\n", "passphrase = {\n", "user \"a\" {\n"}
	rng := rand.New(rand.NewPCG(5, 6))
	texts := []string{"a = <<-EOT\n" + strings.Repeat(`x "y"$`, 50_000), "a = \"" + strings.Repeat(`x $`, 100_000), "a = <<EOT\n" + strings.Repeat("x\n", 150_000)}
	for range 40 {
		unit := ""
		for range 1 + rng.IntN(4) {
			unit += parts[rng.IntN(len(parts))]
		}
		texts = append(texts, heads[rng.IntN(len(heads))]+strings.Repeat(unit, 300_000/len(unit)))
	}
	for _, text := range texts {
		start := time.Now()
		_, src, diags := loadText(t, text)
		for _, d := range diags[:min(len(diags), 50)] {
			src.Snippet(*d.Subject)
		}
		// A second, and ten on a busy machine under the race detector; what is
		// quadratic takes hours.
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%.40q: %v", text, took)
		}
	}
}
