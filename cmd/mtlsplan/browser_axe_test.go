package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// axeFile is where .ci/tools puts axe-core, the judge of whether people who do not see a page, or
// do not see it well, can use it.
var axeFile = filepath.Join(repo, "build", "tools", "axe.min.js")

func hasAxe() error {
	if _, err := os.Stat(axeFile); err != nil {
		return fmt.Errorf("this script judges pages by axe-core, which is not in build/tools: .ci/tools fetches it (%w)", err)
	}
	return nil
}

// askAxe has the rules of WCAG 2.2 at the levels A and AA, and those of good practice. What axe cannot
// decide counts, but for contrast: text in a picture has a background that it does not see.
const askAxe = `axe.run({
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  resultTypes: ["violations", "incomplete"],
}).then(r => JSON.stringify({
  Passed: r.passes.length,
  Found: [...r.violations, ...r.incomplete.filter(f => f.id !== "color-contrast")].map(f => ({
    ID: f.id, Help: f.help, At: f.nodes.map(n => n.html.slice(0, 120) + "\n      " + n.failureSummary.replaceAll("\n", " ")).slice(0, 3),
  })),
}))`

// cmdBrowserAxe implements "browser-axe": the page must give axe-core nothing to find. "! browser-axe"
// expects findings, and prints them.
func cmdBrowserAxe(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 0 {
		ts.Fatalf("usage: browser-axe")
	}
	ts.Check(hasAxe())
	axe, err := os.ReadFile(axeFile)
	ts.Check(err)
	b := browserOf(ts)
	_, err = b.run(string(axe) + "\n;undefined")
	ts.Check(err)
	text, err := b.run(askAxe)
	ts.Check(err)
	var got struct {
		Passed int
		Found  []struct {
			ID, Help string
			At       []string
		}
	}
	ts.Check(json.Unmarshal([]byte(text), &got))
	var found strings.Builder
	for _, f := range got.Found {
		fmt.Fprintf(&found, "%s: %s\n", f.ID, f.Help)
		for _, at := range f.At {
			fmt.Fprintf(&found, "    %s\n", at)
		}
	}
	switch {
	case got.Passed == 0:
		ts.Check(errors.New("axe-core has judged nothing"))
	case !neg && len(got.Found) > 0:
		ts.Fatalf("axe-core finds:\n%s", found.String())
	case neg && len(got.Found) == 0:
		ts.Fatalf("axe-core finds nothing; %d rules are met", got.Passed)
	}
	fmt.Fprint(ts.Stdout(), found.String())
	fmt.Fprintf(ts.Stdout(), "%d rules are met\n", got.Passed)
}
