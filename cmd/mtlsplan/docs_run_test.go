package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"mtlsplan/internal/testing/tools"
)

// docPages are the README and all pages of docs/, by their paths in the repository.
func docPages(t *testing.T) map[string]docPage {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repo, "docs", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatal("no pages", err)
	}
	pages := map[string]docPage{}
	for _, file := range append(files, filepath.Join(repo, "README.md")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(repo, file)
		if err != nil {
			t.Fatal(err)
		}
		pages[name], err = readDoc(string(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	return pages
}

// TestDocsCommandLines looks up every command and flag of mtlsplan that a page names, in
// blocks that are run, in those that are not, and in sentences.
func TestDocsCommandLines(t *testing.T) {
	checked := 0
	for name, page := range docPages(t) {
		for _, b := range page.blocks {
			text := b.text
			switch b.lang {
			case "hcl", "html", "json", "setup": // what looks like a command is a comment; a setup is run
				continue
			case "console":
				text = ""
				for _, c := range b.commands() {
					text += c.typed
				}
			}
			for _, args := range programLines(text) {
				checked++
				if err := checkCommandLine(args, b.notRun != ""); err != nil {
					t.Errorf("%s, in the block at line %d: mtlsplan %s: %v", name, b.line, strings.Join(args, " "), err)
				}
			}
		}
		for _, span := range page.spans {
			for _, args := range programLines(span.text) {
				checked++
				if err := checkCommandLine(args, false); err != nil {
					t.Errorf("%s:%d: `%s`: %v", name, span.line, span.text, err)
				}
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d command lines were found", checked)
	}
}

// checkCommandLine expects a command that exists, and its flags. A whole line is read as
// the program would read it; in one of a sentence N stands for a number.
func checkCommandLine(args []string, whole bool) error {
	root := documentedRoot()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if cmd == root {
		if len(rest) == 0 || !strings.HasPrefix(rest[0], "-") {
			return errors.New("there is no such command")
		}
	}
	cmd.InitDefaultHelpFlag()
	if whole {
		if err := cmd.ParseFlags(rest); err != nil {
			return err
		}
		return cmd.ValidateArgs(cmd.Flags().Args())
	}
	for _, arg := range rest {
		long, isLong := strings.CutPrefix(arg, "--")
		long, _, _ = strings.Cut(long, "=")
		var flag *pflag.Flag
		switch {
		case arg == "--":
			return nil
		case isLong:
			if flag = cmd.Flags().Lookup(long); flag == nil {
				flag = cmd.InheritedFlags().Lookup(long)
			}
		case strings.HasPrefix(arg, "-") && len(arg) == 2:
			if flag = cmd.Flags().ShorthandLookup(arg[1:]); flag == nil {
				flag = cmd.InheritedFlags().ShorthandLookup(arg[1:])
			}
		default:
			continue
		}
		if flag == nil {
			return fmt.Errorf("%s has no flag %s", cmd.Name(), arg)
		}
	}
	return nil
}

// TestDocsCommands types what the pages tell their readers to type, page by page and from
// top to bottom, on a machine of its own for each: its files and its network are nobody
// else's. A block must say so where it cannot be run, and why. Output is compared where a
// page shows it; MTLSPLAN_UPDATE=1 writes it. Parts of specs must be written as fmt writes them.
func TestDocsCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("make test runs it")
	}
	for _, program := range []string{"unshare", "ip", "nginx", "curl", "openssl", "pk12util", "certutil", "git", "age", "ssh-keygen", "sshd"} {
		tools.Need(t, program)
	}
	if err := canMount(); err != nil {
		tools.Missing(t, err.Error())
	}
	for name, page := range docPages(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runDoc(t, name, page)
		})
	}
}

func runDoc(t *testing.T, name string, page docPage) {
	var host *docHost
	end := func() {
		if host == nil {
			return
		}
		defer host.stop()
		if t.Failed() {
			return
		}
		answers, _, err := host.enter("touch /tmp/answers; cat /tmp/answers")
		if err == nil {
			err = checkAnswers([]byte(answers))
		}
		if err != nil {
			t.Errorf("%s: documents: %v", name, err)
		}
	}
	defer func() { end() }()
	fresh := func() {
		end()
		host = startDocHost(t)
	}
	updated := slices.Clone(page.blocks)
	stale := false
	for i, b := range page.blocks {
		if b.notRun != "" {
			continue
		}
		commands := b.commands()
		if b.lang == "hcl" && b.file == "" {
			commands = []docCommand{{line: b.line, typed: "cat > /tmp/part.hcl <<'END'\n" + dedented(b.text) + "END\nmtlsplan fmt --check --diff /tmp/part.hcl"}}
		}
		if b.file == "" && len(commands) == 0 {
			continue
		}
		if host == nil || b.fresh {
			fresh()
		}
		if b.file != "" {
			if err := host.write(b.file, b.text, b.adds); err != nil {
				t.Fatalf("%s:%d: %v", name, b.line, err)
			}
			continue
		}
		var text strings.Builder
		for _, c := range commands {
			got, exit, err := host.enter(c.typed)
			if err != nil {
				t.Fatalf("%s:%d: %s: %v\n%s", name, c.line, c.typed, err, got)
			}
			if exit != c.exit {
				t.Fatalf("%s:%d: ended with %d, expected %d: %s\n%s", name, c.line, exit, c.exit, strings.TrimSpace(c.typed), got)
			}
			text.WriteString("$ " + strings.ReplaceAll(strings.TrimSuffix(c.typed, "\n"), "\n", "\n> ") + "\n")
			shown := c.output
			if c.output != "" && !sameOutput(c.output, got) {
				stale = true
				if os.Getenv("MTLSPLAN_UPDATE") == "" || hasGap(c.output) {
					t.Errorf("%s:%d: %s prints what the page does not show; MTLSPLAN_UPDATE=1 writes it:\n%s", name, c.line, strings.TrimSpace(c.typed), got)
				}
			}
			if c.output != "" && !hasGap(c.output) {
				shown = got
			}
			text.WriteString(shown)
		}
		updated[i].text = text.String()
	}
	if !stale || os.Getenv("MTLSPLAN_UPDATE") == "" || t.Failed() {
		return
	}
	// All of a page's sessions are written anew, so that their dates belong together.
	out := page.text
	for i, b := range page.blocks {
		if b.lang == "console" && b.notRun == "" {
			out = strings.Replace(out, "```console\n"+b.text+"```", "```console\n"+updated[i].text+"```", 1)
		}
	}
	if err := os.WriteFile(filepath.Join(repo, name), []byte(out), 0o644); err != nil {
		t.Error(err)
	}
}

// dedented is text without the blanks with which all of its lines begin, those of the first.
func dedented(text string) string {
	blanks := text[:len(text)-len(strings.TrimLeft(text, " "))]
	return strings.ReplaceAll(strings.TrimPrefix(text, blanks), "\n"+blanks, "\n")
}

var (
	docDates   = regexp.MustCompile(`\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?Z?)?`)
	docNumbers = regexp.MustCompile(`\b[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){7,}\b|\b[0-9A-Fa-f]{16,}\b`)
	docBlanks  = regexp.MustCompile(`[ \t]+`)
	docWaiting = regexp.MustCompile(`(?m)^applying: \d+ of \d+ steps\n`) // where a run is slow
)

// stable is output without what differs from run to run: dates, serial numbers,
// fingerprints, and the widths of the columns that hold them.
func stable(output string) string {
	output = docWaiting.ReplaceAllString(output, "")
	output = docDates.ReplaceAllString(output, "DATE")
	output = docNumbers.ReplaceAllString(output, "NUMBER")
	var lines []string
	for line := range strings.Lines(output) {
		lines = append(lines, strings.TrimSpace(docBlanks.ReplaceAllString(line, " ")))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// hasGap reports whether a page leaves lines out of an output, with a line of three dots.
func hasGap(output string) bool { return slices.Contains(strings.Split(stable(output), "\n"), "...") }

// sameOutput compares what a page shows with what a command has printed.
func sameOutput(shown, got string) bool {
	pattern := "^" + regexp.QuoteMeta(stable(shown)) + "$"
	pattern = regexp.MustCompile(`(^\^|\n)\\\.\\\.\\\.(\n|\$$)`).ReplaceAllString(pattern, "$1(?s:.*)$2")
	return regexp.MustCompile(pattern).MatchString(stable(got))
}

// docHost is a shell as root on a machine of its own: its files but the programs, its
// processes and its network are made anew.
type docHost struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// docMachine makes the machine in $1 and becomes its shell. The program lies in $2, the
// examples in $3. It has what the pages take for granted: NGINX is running, a server's
// certificate is there, and an application listens on 127.0.0.1:8065.
const docMachine = `
set -e
root=$1
mount --make-rprivate /
mount -t tmpfs -o mode=755 none "$root"
cd "$root"
mkdir -m 755 usr dev proc sys opt var run srv home program backup
mkdir -m 1777 tmp
mkdir -m 700 root
for d in usr dev sys; do mount --rbind /$d $d; done
for l in bin sbin lib lib32 lib64 libx32; do
	if [ -L /$l ]; then cp -P /$l .; elif [ -d /$l ]; then mkdir $l; mount --rbind /$l $l; fi
done
mount -t proc proc proc
cp -a /etc etc
touch program/mtlsplan
mount --bind "$2" program/mtlsplan
cp -r "$3" root/examples
ip link set lo up

names='example.mattermost.com chat.example.com'
echo "127.0.0.1 localhost $names" > etc/hosts
for name in $names; do
	mkdir -p etc/letsencrypt/live/$name
	openssl req -new -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 30 -subj /CN=$name \
		-keyout etc/letsencrypt/live/$name/privkey.pem -out etc/letsencrypt/live/$name/fullchain.pem 2>/dev/null
	cat etc/letsencrypt/live/$name/fullchain.pem >> etc/ssl/certs/ca-certificates.crt
done

mkdir -p var/log/nginx var/lib/nginx opt/mattermost/config etc/nginx/conf.d etc/nginx/sites-available etc/nginx/sites-enabled
rm -f etc/nginx/conf.d/* etc/nginx/sites-enabled/*
cat > etc/nginx/conf.d/application.conf <<'END'
server {
	listen 127.0.0.1:8065;
	default_type text/html;
	return 200 "<title>Mattermost</title>\n";
}
server {
	listen 80 default_server;
	default_type text/html;
	return 200 "<h1>Welcome to nginx!</h1>\n";
}
END
cat > program/systemctl <<'END'
#!/bin/sh
case $* in
'reload nginx') exec nginx -s reload 2>/dev/null ;;
*) echo "no systemd here: systemctl $*" >&2; exit 1 ;;
esac
END
chmod +x program/systemctl
exec chroot . /usr/bin/env -i HOME=/root LANG=C.UTF-8 TERM=dumb MTLSPLAN_TEST_ANSWERS=/tmp/answers \
	PATH=/program:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	/bin/bash --norc --noprofile -c 'nginx; cd; exec bash --norc --noprofile'
`

func startDocHost(t *testing.T) *docHost {
	t.Helper()
	program, err := scriptProgram()
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Abs(filepath.Join(repo, "examples"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	args := append(unshareArgs(), "--net", "--", "sh", "-c", docMachine, "sh", root, program, examples)
	h := &docHost{cmd: exec.Command("unshare", args...)}
	h.cmd.WaitDelay = time.Second
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	h.cmd.Stdout, h.cmd.Stderr = w, w
	h.out = bufio.NewReader(out)
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *docHost) stop() {
	h.in.Close()
	h.cmd.Process.Kill() // and with it all that runs in its namespace
	h.cmd.Wait()
}

const docMark = "\x02the command has ended with "

// enter types a command and returns what it prints and how it ends.
func (h *docHost) enter(typed string) (output string, exit int, err error) {
	late := time.AfterFunc(time.Minute, func() { h.cmd.Process.Kill() })
	defer late.Stop()
	typed = strings.ReplaceAll(typed, "go run ./cmd/mtlsplan", "mtlsplan") // there is no source on that machine
	quoted := "'" + strings.ReplaceAll(strings.TrimSuffix(typed, "\n"), "'", `'\''`) + "'"
	if _, err := fmt.Fprintf(h.in, "eval %s </dev/null\necho \"%s$?\"\n", quoted, docMark); err != nil {
		return "", 0, err
	}
	var all bytes.Buffer
	for {
		line, err := h.out.ReadString('\n')
		if before, code, ok := strings.Cut(line, docMark); ok {
			all.WriteString(before)
			exit, err := strconv.Atoi(strings.TrimSpace(code))
			return all.String(), exit, err
		}
		all.WriteString(line)
		if err != nil {
			return all.String(), 0, errors.Join(err, context.DeadlineExceeded)
		}
	}
}

// write makes a file where the shell is, or puts text at its end.
func (h *docHost) write(name, text string, adds bool) error {
	operator := ">"
	if adds {
		operator = ">>"
	}
	_, exit, err := h.enter(fmt.Sprintf("cat %s %s <<'END OF THE FILE'\n%sEND OF THE FILE\n", operator, name, text))
	if exit != 0 {
		err = fmt.Errorf("the file %s cannot be written", name)
	}
	return err
}
