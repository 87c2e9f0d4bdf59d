package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mtlsplan/internal/testing/tools"

	"github.com/rogpeppe/go-internal/testscript"
	"gopkg.in/yaml.v3"
)

func init() {
	scriptCommands["sshd-start"] = cmdSSHDStart
	scriptCommands["forge-start"] = cmdForgeStart
	scriptCommands["workflow"] = cmdWorkflow
}

const actionlint = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"

var jobsDir = filepath.Join(repo, "examples", "ci")

// TestJobsShell lets shellcheck read the shell scripts of examples/ci.
func TestJobsShell(t *testing.T) {
	tools.Need(t, "shellcheck")
	for _, name := range []string{"mtlsplan-job", "mtlsplan-receive"} {
		if out, err := exec.Command("shellcheck", filepath.Join(jobsDir, name)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestJobsWorkflows lets actionlint read the workflows. Forgejo and Gitea have the language
// of GitHub's, and labels of their own for runners.
func TestJobsWorkflows(t *testing.T) {
	for _, name := range []string{"github", "forgejo"} {
		cmd := exec.Command("go", "run", actionlint, "-ignore", `label "docker" is unknown`, filepath.Join(jobsDir, name, "mtlsplan.yml"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// workflow is what the three services' files have in common with what is tested, and no
// other key: a misspelt one is an error.
type workflow struct {
	Name        string            `yaml:"name"`
	On          map[string]any    `yaml:"on"`
	Permissions map[string]string `yaml:"permissions"`
	Env         map[string]string `yaml:"env"`
	Jobs        map[string]struct {
		If          string                 `yaml:"if"`
		RunsOn      string                 `yaml:"runs-on"`
		Container   struct{ Image string } `yaml:"container"`
		Timeout     int                    `yaml:"timeout-minutes"`
		Environment string                 `yaml:"environment"`
		Permissions map[string]string      `yaml:"permissions"`
		Concurrency struct {
			Group  string `yaml:"group"`
			Cancel bool   `yaml:"cancel-in-progress"`
		} `yaml:"concurrency"`
		Steps []struct {
			Uses string            `yaml:"uses"`
			With map[string]string `yaml:"with"`
			Run  string            `yaml:"run"`
			Env  map[string]string `yaml:"env"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

// pipeline is the same of GitLab.
type pipeline struct {
	Default struct {
		Image  string   `yaml:"image"`
		Before []string `yaml:"before_script"`
	} `yaml:"default"`
	Variables map[string]string `yaml:"variables"`
	Plan      pipelineJob       `yaml:"plan"`
	Apply     pipelineJob       `yaml:"apply"`
}

type pipelineJob struct {
	Rules         []struct{ If string } `yaml:"rules"`
	Timeout       string                `yaml:"timeout"`
	Interruptible bool                  `yaml:"interruptible"`
	ResourceGroup string                `yaml:"resource_group"`
	Environment   struct{ Name string } `yaml:"environment"`
	Variables     map[string]string     `yaml:"variables"`
	Script        []string              `yaml:"script"`
}

func readYAML(file string, into any) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	d := yaml.NewDecoder(f)
	d.KnownFields(true)
	return d.Decode(into)
}

// TestJobsGiveNothingAway: what may run for a request has no secret and pushes nothing, what
// applies runs for the main branch alone and one at a time, and actions are pinned.
func TestJobsGiveNothingAway(t *testing.T) {
	pinned := regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40}$`)
	for _, name := range []string{"github", "forgejo"} {
		var w workflow
		if err := readYAML(filepath.Join(jobsDir, name, "mtlsplan.yml"), &w); err != nil {
			t.Fatal(err)
		}
		if _, ok := w.On["pull_request_target"]; ok {
			t.Errorf("%s: pull_request_target gives secrets to requests", name)
		}
		plan, apply := w.Jobs["plan"], w.Jobs["apply"]
		for _, step := range plan.Steps {
			for variable, value := range step.Env {
				if strings.Contains(value, "secrets.") {
					t.Errorf("%s: plan has the secret %s", name, variable)
				}
			}
		}
		if plan.If != "github.event_name == 'pull_request'" || apply.If != "github.event_name != 'pull_request' && github.ref == 'refs/heads/main'" {
			t.Errorf("%s: plan runs if %q, apply if %q", name, plan.If, apply.If)
		}
		if apply.Concurrency.Group != "mtlsplan-apply" || apply.Concurrency.Cancel {
			t.Errorf("%s: apply may run twice at once, or be cancelled: %+v", name, apply.Concurrency)
		}
		for _, job := range w.Jobs {
			for _, step := range job.Steps {
				if step.Uses != "" && (!pinned.MatchString(step.Uses) || step.With["persist-credentials"] != "false" || step.With["fetch-depth"] != "0") {
					t.Errorf("%s: %s is not pinned, keeps its token in the clone, or leaves out history: %v", name, step.Uses, step.With)
				}
			}
		}
		if name == "github" && (plan.Permissions["contents"] != "read" || plan.Permissions["pull-requests"] != "write" || len(plan.Permissions) != 2 ||
			apply.Permissions["contents"] != "write" || len(apply.Permissions) != 1 || w.Permissions == nil || len(w.Permissions) > 0 || apply.Environment == "") {
			t.Errorf("github: the permissions are %v, plan's %v, apply's %v in the environment %q", w.Permissions, plan.Permissions, apply.Permissions, apply.Environment)
		}
	}
	var p pipeline
	if err := readYAML(filepath.Join(jobsDir, "gitlab", ".gitlab-ci.yml"), &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Apply.Rules) != 1 || p.Apply.Rules[0].If != "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH" || p.Apply.ResourceGroup == "" || p.Apply.Interruptible {
		t.Errorf("gitlab: apply runs elsewhere, twice at once, or is interrupted: %+v", p.Apply)
	}
	for variable, value := range p.Plan.Variables {
		if strings.Contains(value, "PUSH_TOKEN") || strings.Contains(value, "IDENTITY") || strings.Contains(value, "SSH_KEY") {
			t.Errorf("gitlab: plan has the secret %s", variable)
		}
	}
}

// cmdWorkflow implements "workflow FILE JOB": runs the steps of a job as its service would,
// in the current directory. Secrets and variables of the repository are variables of the
// script, and a step sees those that the file gives it and no others of mtlsplan. It
// prints what they print, and "exit N" at the end.
func cmdWorkflow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: workflow FILE JOB")
	}
	var env []string
	// testscript's own variables, less what a job must be given.
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "WORK", "GITHUB_API_URL", "GITHUB_REPOSITORY", "CI_API_V4_URL", "CI_PROJECT_ID", answersVar} {
		if value := ts.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	steps := stepsOf(ts, ts.MkAbs(args[0]), args[1])
	for _, step := range steps {
		cmd := exec.Command("bash", "-e", "-c", step.run)
		cmd.Dir = ts.MkAbs(".")
		cmd.Env = append(slices.Clone(env), step.env...)
		cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
		if err := cmd.Run(); err != nil {
			fmt.Fprintf(ts.Stdout(), "exit %d\n", cmd.ProcessState.ExitCode())
			return
		}
	}
	fmt.Fprintln(ts.Stdout(), "exit 0")
}

type jobStep struct {
	run string
	env []string
}

var (
	givenByName = regexp.MustCompile(`^\$\{\{ (?:secrets|vars)\.(\w+) \}\}$`)
	givenByEnv  = regexp.MustCompile(`\$(\w+)`)
)

func stepsOf(ts *testscript.TestScript, file, job string) []jobStep {
	if filepath.Base(file) == ".gitlab-ci.yml" {
		var p pipeline
		ts.Check(readYAML(file, &p))
		j := map[string]pipelineJob{"plan": p.Plan, "apply": p.Apply}[job]
		var env []string
		// What is set for the project is there for every script.
		for _, name := range strings.Fields("MTLSPLAN_IDENTITY MTLSPLAN_SSH_KEY MTLSPLAN_PUSH_TOKEN MTLSPLAN_COMMENT_TOKEN MTLSPLAN_KNOWN_HOSTS MTLSPLAN_PROXIES MTLSPLAN_CONNECT") {
			protected := slices.Contains([]string{"MTLSPLAN_IDENTITY", "MTLSPLAN_SSH_KEY", "MTLSPLAN_PUSH_TOKEN"}, name)
			if value := ts.Getenv(name); value != "" && !(protected && job == "plan") {
				env = append(env, name+"="+value)
			}
		}
		for _, variables := range []map[string]string{p.Variables, j.Variables} {
			for name, value := range variables {
				env = append(env, name+"="+givenByEnv.ReplaceAllStringFunc(value, func(s string) string { return ts.Getenv(s[1:]) }))
			}
		}
		return []jobStep{{strings.Join(append(p.Default.Before, j.Script...), "\n"), env}}
	}
	var w workflow
	ts.Check(readYAML(file, &w))
	evaluate := func(value string) string {
		if m := givenByName.FindStringSubmatch(value); m != nil {
			return ts.Getenv(m[1])
		}
		switch value {
		case "${{ github.token }}":
			return ts.Getenv("TOKEN")
		case "${{ github.event.pull_request.number }}":
			return ts.Getenv("REQUEST")
		case "${{ github.event.pull_request.base.ref }}":
			return "main"
		case "${{ github.event.pull_request.head.repo.full_name == github.repository && github.token || '' }}":
			if ts.Getenv("FORK") != "" {
				return ""
			}
			return ts.Getenv("TOKEN")
		}
		if strings.Contains(value, "${{") {
			ts.Fatalf("%s: do not know what %s is", file, value)
		}
		return value
	}
	var steps []jobStep
	for _, step := range w.Jobs[job].Steps {
		if step.Run == "" {
			continue
		}
		s := jobStep{run: step.Run}
		for _, variables := range []map[string]string{w.Env, step.Env} {
			for name, value := range variables {
				s.env = append(s.env, name+"="+evaluate(value))
			}
		}
		steps = append(steps, s)
	}
	if len(steps) == 0 {
		ts.Fatalf("%s has no job %s", file, job)
	}
	return steps
}

// cmdSSHDStart implements "sshd-start DIR COMMAND": runs an sshd until the script ends, at
// which the key DIR/key runs COMMAND and nothing else. DIR/known_hosts knows it, and
// DIR/address is ssh://USER@127.0.0.1:PORT.
func cmdSSHDStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sshd-start DIR COMMAND")
	}
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		sshd = "/usr/sbin/sshd"
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	if os.Getuid() == 0 {
		ts.Check(os.MkdirAll("/run/sshd", 0o755)) // compiled into Debian's sshd
	}
	for _, name := range []string{"host", "key"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", filepath.Join(dir, name)).CombinedOutput(); err != nil {
			ts.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
	}
	me, err := user.Current()
	ts.Check(err)
	port := tools.Port()
	write := func(name, text string) { ts.Check(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)) }
	write("authorized_keys", fmt.Sprintf("command=%q,restrict %s", args[1], ts.ReadFile(filepath.Join(dir, "key.pub"))))
	write("known_hosts", fmt.Sprintf("[127.0.0.1]:%d %s", port, ts.ReadFile(filepath.Join(dir, "host.pub"))))
	write("address", fmt.Sprintf("ssh://%s@127.0.0.1:%d\n", me.Username, port))
	write("config", fmt.Sprintf(`ListenAddress 127.0.0.1:%d
HostKey %[2]s/host
AuthorizedKeysFile %[2]s/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
`, port, dir))
	log, err := os.Create(filepath.Join(dir, "log"))
	ts.Check(err)
	cmd := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "config"))
	cmd.Stderr = log
	ts.Check(cmd.Start())
	ts.Defer(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		log.Close()
	})
	for range 200 {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			conn.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	text, _ := os.ReadFile(filepath.Join(dir, "log"))
	ts.Fatalf("sshd does not listen:\n%s", text)
}

// forge is as much of a service as jobs talk to: repositories over http, and comments of
// requests in the ways of GitHub, Gitea and GitLab.
type forge struct {
	sync.Mutex
	dir, token string
	git        http.Handler
	comments   []*forgeComment
}

type forgeComment struct {
	ID   int    `json:"id"`
	Body string `json:"body"`
}

// cmdForgeStart implements "forge-start VAR DIR TOKEN": serves the bare repositories of DIR
// over http until the script ends, and takes comments, from whoever has the token; VAR
// is its address. The comments are in DIR/comments, one a file.
func cmdForgeStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: forge-start VAR DIR TOKEN")
	}
	out, err := exec.Command("git", "--exec-path").Output()
	ts.Check(err)
	f := &forge{dir: ts.MkAbs(args[1]), token: args[2]}
	f.git = &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + f.dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=job", "HOME=" + ts.Getenv("HOME"), "GIT_CONFIG_NOSYSTEM=1"},
	}
	// A service has other people's comments, and more than one page of them.
	for range 120 {
		f.comments = append(f.comments, &forgeComment{len(f.comments) + 1, "Looks good to me."})
	}
	ts.Check(os.MkdirAll(filepath.Join(f.dir, "comments"), 0o755))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	server := &http.Server{Handler: f}
	go server.Serve(listener)
	ts.Defer(func() { server.Close() })
	ts.Setenv(args[0], "http://"+listener.Addr().String())
}

var (
	commentList = regexp.MustCompile(`^/api/(repos/o/r/issues/5/comments|projects/7/merge_requests/5/notes)$`)
	commentOne  = regexp.MustCompile(`^/api/(?:repos/o/r/issues/comments|projects/7/merge_requests/5/notes)/(\d+)$`)
)

func (f *forge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/api/") {
		if _, password, _ := r.BasicAuth(); password != f.token {
			w.Header().Set("WWW-Authenticate", `Basic realm="forge"`)
			http.Error(w, "who is there?", http.StatusUnauthorized)
			return
		}
		f.git.ServeHTTP(w, r)
		return
	}
	gitlab := strings.HasPrefix(r.URL.Path, "/api/projects/")
	if gitlab && r.Header.Get("PRIVATE-TOKEN") != f.token || !gitlab && r.Header.Get("Authorization") != "Bearer "+f.token {
		http.Error(w, `{"message":"401 Unauthorized"}`, http.StatusUnauthorized)
		return
	}
	f.Lock()
	defer f.Unlock()
	change := http.MethodPatch
	if gitlab {
		change = http.MethodPut
	}
	var sent forgeComment
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || sent.Body == "" || len(sent.Body) > 65536 {
			http.Error(w, `{"message":"422"}`, http.StatusUnprocessableEntity)
			return
		}
	}
	var comment *forgeComment
	if one := commentOne.FindStringSubmatch(r.URL.Path); one != nil && r.Method == change {
		id, _ := strconv.Atoi(one[1])
		if id > len(f.comments) {
			http.NotFound(w, r)
			return
		}
		comment = f.comments[id-1]
		comment.Body = sent.Body
	} else if commentList.MatchString(r.URL.Path) && r.Method == http.MethodPost {
		comment = &forgeComment{len(f.comments) + 1, sent.Body}
		f.comments = append(f.comments, comment)
		w.WriteHeader(http.StatusCreated)
	} else if commentList.MatchString(r.URL.Path) && r.Method == http.MethodGet {
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		from := min(100*(page-1), len(f.comments))
		json.NewEncoder(w).Encode(f.comments[from:min(from+100, len(f.comments))])
		return
	} else {
		http.NotFound(w, r)
		return
	}
	os.WriteFile(filepath.Join(f.dir, "comments", strconv.Itoa(comment.ID)), []byte(comment.Body), 0o644)
	json.NewEncoder(w).Encode(comment)
}
