package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The document's parts, in docs/: the text with the tables between two
// markers, the picture, and the results from which both are made.
const (
	documentName = "docs/performance.md"
	pictureName  = "docs/performance.svg"
	resultsName  = "docs/performance.json"
	tablesBegin  = "<!-- tables: written by make bench RECORD=1 -->\n"
	tablesEnd    = "<!-- end of tables -->\n"
)

// record merges new results with the kept ones and writes the document.
func record(dir string, measured Results) error {
	path := filepath.Join(dir, resultsName)
	old, err := readResults(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := merge(old, measured).save(path); err != nil {
		return err
	}
	return writeDocument(dir)
}

// writeDocument makes tables and picture anew from the kept results.
func writeDocument(dir string) error {
	files, err := document(dir)
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// document is what the generated files should hold, by name.
func document(dir string) (map[string]string, error) {
	results, err := readResults(filepath.Join(dir, resultsName))
	if err != nil {
		return nil, err
	}
	if len(results.Rows) == 0 {
		return nil, fmt.Errorf("%s: no results are kept there", filepath.Join(dir, resultsName))
	}
	text, err := os.ReadFile(filepath.Join(dir, documentName))
	if err != nil {
		return nil, err
	}
	filled, err := between(string(text), "\n"+markdown(results)+"\n")
	if err != nil {
		return nil, err
	}
	files := map[string]string{documentName: filled}
	if picture := plot(results); picture != "" {
		files[pictureName] = picture
	}
	return files, nil
}

// between replaces what stands between the markers.
func between(text, tables string) (string, error) {
	head, rest, begins := strings.Cut(text, tablesBegin)
	_, foot, ends := strings.Cut(rest, tablesEnd)
	if !begins || !ends {
		return "", fmt.Errorf("%s: the lines %q and %q must be in it", documentName, strings.TrimSpace(tablesBegin), strings.TrimSpace(tablesEnd))
	}
	return head + tablesBegin + tables + tablesEnd + foot, nil
}
