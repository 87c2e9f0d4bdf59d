// Command floor is the smallest honest program for the whole job. It has the same
// cryptography with the same libraries and the same durable writes as mtlsplan, and
// nothing else: no lock, no plan, no database, no error that names a user. The cost
// of mtlsplan is given as a multiple of its cost.
package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

// kinds are the files of one user.
var kinds = [...]string{"key", "csr", "crt", "p12"}

// groupSize is the number of users whose files become durable together.
const groupSize = 1024

// soon is the time before a certificate's end in which a run with nothing to do no
// longer accepts it.
const soon = 30 * 24 * time.Hour

type job struct {
	dir     string // holds the list, the CA and the state; the users' files are in out/
	rsa     bool   // RSA-4096 and RSA-2048 instead of P-256
	prove   bool   // open and check every file before it is written
	workers int
	ca      authority
}

// run does one scenario: fresh makes a CA and all users; noop checks every file and
// makes nothing; add makes missing users.
func run(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: floor fresh|noop|add -dir DIR")
	}
	flags := flag.NewFlagSet("floor", flag.ContinueOnError)
	dir := flags.String("dir", "", "working `directory`, which holds the list of users")
	list := flags.String("list", "users.hcl", "`name` of the list in it: HCL blocks or, ending in .csv, rows")
	alg := flags.String("alg", "ec", "ec: P-256; rsa: RSA-4096 for the CA, RSA-2048 for users")
	prove := flags.Bool("prove", false, "open and check all that was made before it is written")
	workers := flags.Int("workers", 2, "users made at the same time")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	j := &job{dir: *dir, rsa: *alg == "rsa", prove: *prove, workers: *workers}
	users, err := readUsers(filepath.Join(j.dir, *list))
	if err != nil {
		return err
	}
	if args[0] == "fresh" {
		return j.fresh(users)
	}
	lines, missing, err := j.look(users)
	switch {
	case err != nil:
		return err
	case args[0] == "noop" && len(missing) > 0, args[0] == "add" && len(missing) == 0:
		return fmt.Errorf("%s: %d users are missing", args[0], len(missing))
	case args[0] == "noop":
		return nil
	}
	if j.ca, err = openAuthority(j.dir); err != nil {
		return err
	}
	if err := j.makeAll(missing); err != nil {
		return err
	}
	return j.saveState(users, lines)
}

// readUsers reads the names from a list of users.
func readUsers(file string) ([]string, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var names []string
	if strings.HasSuffix(file, ".csv") {
		rows, err := csv.NewReader(bytes.NewReader(source)).ReadAll()
		if err != nil || len(rows) == 0 {
			return nil, fmt.Errorf("%s: no list of users: %w", file, err)
		}
		for _, row := range rows[1:] {
			names = append(names, row[0])
		}
		return names, nil
	}
	parsed, diags := hclsyntax.ParseConfig(source, file, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, diags
	}
	for _, block := range parsed.Body.(*hclsyntax.Body).Blocks {
		if block.Type != "user" {
			continue
		}
		if _, diags := block.Body.Attributes["email"].Expr.Value(nil); diags.HasErrors() {
			return nil, diags
		}
		names = append(names, block.Labels[0])
	}
	return names, nil
}

func (j *job) path(user, kind string) string {
	return filepath.Join(j.dir, "out", user+"."+kind)
}

func (j *job) fresh(users []string) (err error) {
	if err := os.MkdirAll(filepath.Join(j.dir, "out"), 0o700); err != nil {
		return err
	}
	if j.ca, err = newAuthority(j.dir, j.rsa); err != nil {
		return err
	}
	if err := j.makeAll(users); err != nil {
		return err
	}
	return j.saveState(users, nil)
}

// makeAll makes users group by group: all files of a group under temporary
// names, one syncfs, the renames, one fsync of the directory.
func (j *job) makeAll(users []string) error {
	for len(users) > 0 {
		group := users[:min(groupSize, len(users))]
		users = users[len(group):]
		if err := j.makeGroup(group); err != nil {
			return err
		}
		out := filepath.Join(j.dir, "out")
		if err := syncFileSystem(out); err != nil {
			return err
		}
		for _, user := range group {
			for _, kind := range kinds {
				if err := os.Rename(j.path(user, kind)+".tmp", j.path(user, kind)); err != nil {
					return err
				}
			}
		}
		if err := syncFile(out); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) makeGroup(group []string) error {
	next := make(chan string, len(group))
	for _, user := range group {
		next <- user
	}
	close(next)
	errs := make([]error, j.workers)
	var wait sync.WaitGroup
	for w := range errs {
		wait.Go(func() {
			for user := range next {
				if errs[w] = j.makeUser(user); errs[w] != nil {
					return
				}
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (j *job) makeUser(user string) error {
	files, err := j.ca.issue(user, j.rsa)
	if err == nil && j.prove {
		err = j.ca.prove(files)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", user, err)
	}
	for i, kind := range kinds {
		if err := os.WriteFile(j.path(user, kind)+".tmp", files[i], 0o600); err != nil {
			return err
		}
	}
	return nil
}

// look compares every file's size and time with the state, and every certificate's
// end with now. It returns the lines of the state, and the users without one.
func (j *job) look(users []string) (lines map[string]string, missing []string, err error) {
	text, err := os.ReadFile(filepath.Join(j.dir, "state"))
	if err != nil {
		return nil, nil, err
	}
	lines = map[string]string{}
	for line := range strings.Lines(string(text)) {
		user, _, _ := strings.Cut(line, "\t")
		lines[user] = line
	}
	due := time.Now().Add(soon).Unix()
	for _, user := range users {
		line, ok := lines[user]
		if !ok {
			missing = append(missing, user)
			continue
		}
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		end, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil || end < due {
			return nil, nil, fmt.Errorf("%s: the certificate ends too soon for this scenario: %s", user, fields[1])
		}
		for i, kind := range kinds {
			info, err := os.Lstat(j.path(user, kind))
			if err != nil {
				return nil, nil, err
			}
			if size, time := stamp(info); size != fields[2+2*i] || time != fields[3+2*i] {
				return nil, nil, fmt.Errorf("%s has changed", j.path(user, kind))
			}
		}
	}
	return lines, missing, nil
}

func stamp(info os.FileInfo) (size, modified string) {
	return strconv.FormatInt(info.Size(), 10), strconv.FormatInt(info.ModTime().UnixNano(), 10)
}

// saveState writes a line for each user: name, end of the certificate in Unix
// seconds, and size in bytes and modification time in nanoseconds of each file.
// Existing lines are kept.
func (j *job) saveState(users []string, lines map[string]string) error {
	var state bytes.Buffer
	for _, user := range users {
		if line, ok := lines[user]; ok {
			state.WriteString(line)
			continue
		}
		cert, err := readCertificate(j.path(user, "crt"))
		if err != nil {
			return err
		}
		state.WriteString(user + "\t" + strconv.FormatInt(cert.NotAfter.Unix(), 10))
		for _, kind := range kinds {
			info, err := os.Lstat(j.path(user, kind))
			if err != nil {
				return err
			}
			size, modified := stamp(info)
			state.WriteString("\t" + size + "\t" + modified)
		}
		state.WriteByte('\n')
	}
	path := filepath.Join(j.dir, "state")
	if err := os.WriteFile(path+".tmp", state.Bytes(), 0o600); err != nil {
		return err
	}
	if err := syncFile(path + ".tmp"); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// syncFile makes a file or a directory durable.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
