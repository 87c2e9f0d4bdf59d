package main

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// TestDocsInNavigation expects each page of docs/ once in the menu of the web site.
func TestDocsInNavigation(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repo, "mkdocs.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Nav yaml.Node `yaml:"nav"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	var count func(n *yaml.Node)
	count = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && strings.HasSuffix(n.Value, ".md") {
			found[n.Value]++
		}
		for _, c := range n.Content {
			count(c)
		}
	}
	count(&config.Nav)
	for name := range docPages(t) {
		page := path.Base(name)
		if page == "README.md" {
			page = "index.md"
		}
		if found[page] != 1 {
			t.Errorf("nav of mkdocs.yml has %s %d times: give each page one line", page, found[page])
		}
	}
}

var (
	docLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	docHeading = regexp.MustCompile(`(?m)^#{1,6} (.*)$`)
	docFenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```")
)

// TestDocsLinks follows the links of the pages to files and headings of the repository.
func TestDocsLinks(t *testing.T) {
	followed := 0
	for name, page := range docPages(t) {
		for _, m := range docLink.FindAllStringSubmatch(docFenced.ReplaceAllString(page.text, ""), -1) {
			file, heading, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, ":") {
				continue // a link to elsewhere
			}
			followed++
			target := filepath.Join(repo, filepath.FromSlash(name))
			if file != "" {
				target = filepath.Join(filepath.Dir(target), filepath.FromSlash(file))
			}
			info, err := os.Stat(target)
			switch {
			case err != nil:
				t.Errorf("%s: the link %s leads nowhere", name, m[1])
			case info.IsDir():
				t.Errorf("%s: the link %s leads to a directory, which is no page of the web site", name, m[1])
			case heading != "":
				text, err := os.ReadFile(target)
				if err != nil {
					t.Fatal(err)
				}
				if !hasHeading(string(text), heading) {
					t.Errorf("%s: %s has no heading for the link %s", name, filepath.Base(target), m[1])
				}
			}
		}
	}
	if followed < 50 {
		t.Errorf("only %d links were found", followed)
	}
}

// hasHeading looks for the heading with an anchor, as GitHub and the web site make them
// alike: lower case, words joined by hyphens, without other signs.
func hasHeading(text, anchor string) bool {
	for _, m := range docHeading.FindAllStringSubmatch(docFenced.ReplaceAllString(text, ""), -1) {
		slug := regexp.MustCompile(`[^\w\s-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		if regexp.MustCompile(`\s+`).ReplaceAllString(strings.TrimSpace(slug), "-") == anchor {
			return true
		}
	}
	return false
}
