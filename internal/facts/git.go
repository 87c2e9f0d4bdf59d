package facts

import (
	"bytes"
	"slices"
	"strings"
)

// GitFile is a file that tells git how to treat the output directory. We own the lines
// that we need, and whoever keeps the repository may add others.
type GitFile struct {
	File
	Text  []byte
	Sites []string // files of sites, relative to the output directory
}

// gitLines are the lines that each needs. A pattern that comes later wins, and one in a
// deeper directory over those above: a repository's own *.key must not keep a key of ours
// out of it.
var gitLines = map[string][]string{
	".gitignore": {
		"# mtlsplan: all that the directory needs is kept, whatever is ignored above it,",
		"!*.key",
		"!*.csr",
		"!*.crt",
		"!*.crl",
		"!*.p12",
		"!/db/",
		"!/db/**",
		"!/secrets/",
		"!/secrets/**",
		sitesHere,
		"# and what may be deleted at any time, or must not be in a repository, is not.",
		"/db/lock",
		"/db/cache*",
		"/db/stage/",
		"/secrets/*.pass",
		"/db/retired/*.pass",
		"/db/retired/*.pass.[0-9]",
		"/db/retired/*.pass.[0-9][0-9]",
	},
	".gitattributes": {
		"# mtlsplan: no byte is converted, and two versions of the CA database are never merged.",
		"* -text",
		"* -filter -ident -working-tree-encoding",
		"db/** -merge",
	},
}

// sitesHere stands for the lines of the directories and files of sites.
const sitesHere = "sites"

// lines are those that the file needs, in their order.
func (f *GitFile) lines() []string {
	var out []string
	for _, line := range gitLines[f.Name()] {
		if line == sitesHere {
			out = append(out, siteLines(f.Sites)...)
		} else {
			out = append(out, line)
		}
	}
	return out
}

// siteLines undo what is ignored of sites. A file in a directory that is ignored cannot be
// brought back by itself.
func siteLines(sites []string) []string {
	out := []string{"!/nginx/", "!/nginx/**"}
	add := func(line string) {
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	for _, name := range sites {
		if strings.HasPrefix(name, "nginx/") {
			continue
		}
		for i, c := range name {
			if c == '/' {
				add("!/" + name[:i+1])
			}
		}
		add("!/" + name)
	}
	return out
}

// GitNames are the files' names, relative to the output directory.
func GitNames() []string { return []string{".gitattributes", ".gitignore"} }

// Lacks are the lines that the file needs and does not have.
func (f *GitFile) Lacks() []string {
	have := map[string]bool{}
	for line := range bytes.Lines(f.Text) {
		have[strings.TrimRight(string(line), "\r\n")] = true
	}
	return slices.DeleteFunc(f.lines(), func(line string) bool { return have[line] || strings.HasPrefix(line, "#") })
}

// Unmerged reports whether a merge that git could not finish has left marks in the file.
func (f *GitFile) Unmerged() bool { return Unmerged(f.Text) }

// Whole reports whether there is nothing to mend.
func (f *GitFile) Whole() bool { return !f.Unmerged() && len(f.Lacks()) == 0 }

// Want is the file as it should be: the lines of others, and behind them ours.
func (f *GitFile) Want() []byte {
	var out []byte
	ours := f.lines()
	for line := range bytes.Lines(f.Text) {
		if text := strings.TrimRight(string(line), "\r\n"); !slices.Contains(ours, text) && !conflict(text) {
			out = append(out, text+"\n"...)
		}
	}
	return append(out, strings.Join(ours, "\n")+"\n"...)
}

// OneState says what to do about a directory that is not as any run has left it, because
// somebody has merged two.
func OneState(output string) string {
	return "the directory is not as any run has left it, as after a merge by hand: have all of it back as it was in one commit (git restore --source COMMIT --staged --worktree " + output + "), and run apply again"
}

// Unmerged reports whether a text has marks of a merge that git could not finish.
func Unmerged(text []byte) bool {
	for line := range bytes.Lines(text) {
		if conflict(strings.TrimRight(string(line), "\r\n")) {
			return true
		}
	}
	return false
}

func conflict(line string) bool {
	return line == "=======" || slices.ContainsFunc([]string{"<<<<<<< ", "||||||| ", ">>>>>>> "}, func(mark string) bool { return strings.HasPrefix(line, mark) })
}
