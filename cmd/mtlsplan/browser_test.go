package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() {
	scriptCommands["browser-start"] = cmdBrowserStart
	scriptCommands["browser-open"] = cmdBrowserOpen
	scriptCommands["browser-wait"] = cmdBrowserWait
	scriptCommands["browser-run"] = cmdBrowserRun
	scriptCommands["browser-size"] = cmdBrowserSize
	scriptCommands["browser-media"] = cmdBrowserMedia
	scriptCommands["browser-shot"] = cmdBrowserShot
	scriptCommands["browser-keys"] = cmdBrowserKeys
	scriptCommands["browser-print"] = cmdBrowserPrint
	scriptCommands["browser-axe"] = cmdBrowserAxe
}

// browserPatience is how long an answer of the browser may take. A browser that is asked for a
// certificate and has none that its policy allows waits for ever.
const browserPatience = 30 * time.Second

// A browser is a Chromium without a window, which the DevTools protocol drives over two pipes
// (chromedevtools.github.io/devtools-protocol). Messages are JSON, and end with a zero byte.
type browser struct {
	dir     string
	cmd     *exec.Cmd
	in      *os.File
	answers chan devtools // events among them, without an ID
	done    chan struct{} // closed when it has ended
	last    int           // ID of a message
	session string        // of its one tab
}

type devtools struct {
	ID     int
	Error  *struct{ Message string }
	Result json.RawMessage
}

// browsers has the browser of each script that runs, by its directory.
var browsers sync.Map

// inBrowsersNamespace runs in a mount namespace of its own, and so gives one Chromium its
// policies and leaves the machine's alone. Its directory is at /mnt there, because a socket
// below it must have a short path.
const inBrowsersNamespace = `mount --bind "$1" /mnt && mount --bind /mnt/etc /etc/chromium && shift && exec chromium "$@"`

// canRunBrowsers reports whether this system has a Chromium that can be given policies.
func canRunBrowsers() error {
	for _, program := range []string{"chromium", "certutil", "pk12util", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("this script runs a browser, and there is no %s: .ci/tools installs it", program)
		}
	}
	out, err := exec.Command("unshare", append(unshareArgs(), "mount", "--bind", "/etc/chromium", "/mnt")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("this script gives a browser its policies by a mount that only the browser sees, which is forbidden here: "+
			"run as root, in a container with --privileged (%w: %s)", err, bytes.TrimSpace(out))
	}
	return nil
}

// cmdBrowserStart implements "browser-start ROOT URL [P12 PASSFILE]": runs a Chromium that knows
// the root certificate as an issuer of servers, and resolves only the name in the URL, until the
// script ends or starts another. It has imported the certificate of the .p12 file, and gives
// it to servers of the URL, by the policy AutoSelectCertificateForUrls, instead of asking.
func cmdBrowserStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 && len(args) != 4 {
		ts.Fatalf("usage: browser-start ROOT URL [P12 PASSFILE]")
	}
	at, err := url.Parse(args[1])
	ts.Check(err)
	work := ts.Getenv("WORK")
	if old, ok := browsers.Load(work); ok {
		old.(*browser).stop()
	}
	dir, err := os.MkdirTemp(work, ".browser")
	ts.Check(err)
	nss, managed := filepath.Join(dir, ".pki", "nssdb"), filepath.Join(dir, "etc", "policies", "managed")
	ts.Check(os.MkdirAll(nss, 0o700))
	ts.Check(os.MkdirAll(managed, 0o755))
	ts.Check(ts.Exec("certutil", "-N", "-d", "sql:"+nss, "--empty-password"))
	ts.Check(ts.Exec("certutil", "-A", "-d", "sql:"+nss, "-n", "root", "-t", "C,,", "-i", ts.MkAbs(args[0])))
	if len(args) == 4 {
		ts.Check(ts.Exec("pk12util", "-i", ts.MkAbs(args[2]), "-w", ts.MkAbs(args[3]), "-d", "sql:"+nss))
	}
	choice, err := json.Marshal(map[string]any{"pattern": at.Scheme + "://" + at.Host, "filter": struct{}{}})
	ts.Check(err)
	policy, err := json.Marshal(map[string]any{"AutoSelectCertificateForUrls": []string{string(choice)}})
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(managed, "certificate.json"), policy, 0o644))

	b := &browser{dir: dir, answers: make(chan devtools, 1000), done: make(chan struct{})}
	ts.Check(b.start(at.Hostname()))
	browsers.Store(work, b)
	ts.Defer(b.stop)
	var target struct{ TargetID string }
	ts.Check(b.ask("Target.createTarget", map[string]any{"url": "about:blank"}, &target))
	var attached struct{ SessionID string }
	ts.Check(b.ask("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached))
	b.session = attached.SessionID
}

// start runs Chromium in namespaces of its own: for its policies, and so that none of its
// processes is left when the first has ended.
func (b *browser) start(host string) error {
	stderr, err := os.Create(filepath.Join(b.dir, "stderr"))
	if err != nil {
		return err
	}
	defer stderr.Close()
	reads, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reads.Close()
	out, writes, err := os.Pipe()
	if err != nil {
		return err
	}
	defer writes.Close()
	b.in = in
	b.cmd = exec.Command("unshare", append(unshareArgs(), "sh", "-c", inBrowsersNamespace, "sh", b.dir,
		"--headless", "--remote-debugging-pipe", "--user-data-dir=/mnt/profile", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
		"--no-proxy-server", "--host-resolver-rules=MAP "+host+" 127.0.0.1, MAP * ~NOTFOUND")...)
	b.cmd.Env = []string{"HOME=/mnt", "TMPDIR=/mnt", "PATH=" + os.Getenv("PATH")}
	b.cmd.ExtraFiles = []*os.File{reads, writes} // 3 and 4, which the protocol prescribes
	b.cmd.Stderr = stderr
	if err := b.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(b.done)
		defer out.Close()
		for r := bufio.NewReader(out); ; {
			data, err := r.ReadBytes(0)
			if err != nil {
				break
			}
			var a devtools
			if json.Unmarshal(data[:len(data)-1], &a) == nil {
				b.answers <- a
			}
		}
		b.cmd.Wait()
	}()
	return nil
}

// unshareArgs are the arguments of unshare(1) for namespaces of mounts and of processes. Who is not
// root needs one of users as well.
func unshareArgs() []string {
	args := []string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc"}
	if os.Getuid() != 0 {
		args = append([]string{"--user", "--map-root-user"}, args...)
	}
	return args
}

// stop ends the browser and all its processes.
func (b *browser) stop() {
	b.in.Close() // on which it ends of itself
	for late := time.After(5 * time.Second); ; {
		select {
		case <-b.answers:
		case <-b.done:
			return
		case <-late:
			b.cmd.Process.Signal(syscall.SIGKILL)
		}
	}
}

// ask sends a command and reads until its answer.
func (b *browser) ask(method string, params any, result any) error {
	b.last++
	message := map[string]any{"id": b.last, "method": method}
	if params != nil {
		message["params"] = params
	}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if _, err := b.in.Write(append(data, 0)); err != nil {
		return b.failed(method, err)
	}
	a, err := b.next(method)
	if err != nil {
		return err
	}
	if a.Error != nil {
		return b.failed(method, errors.New(a.Error.Message))
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(a.Result, result)
}

// next returns the answer to the last message, and drops all before it.
func (b *browser) next(method string) (devtools, error) {
	late := time.After(browserPatience)
	for {
		select {
		case a := <-b.answers:
			if a.ID == b.last {
				return a, nil
			}
		case <-b.done:
			return devtools{}, b.failed(method, errors.New("it has ended"))
		case <-late:
			return devtools{}, b.failed(method, fmt.Errorf("no answer in %v; it may be waiting for somebody who chooses a certificate", browserPatience))
		}
	}
}

func (b *browser) failed(what string, err error) error {
	stderr, _ := os.ReadFile(filepath.Join(b.dir, "stderr"))
	return fmt.Errorf("browser: %s: %w\n%s", what, err, bytes.TrimSpace(stderr))
}

// run evaluates an expression of JavaScript. A result that is no text is left out.
func (b *browser) run(expression string) (string, error) {
	var got struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	if err := b.ask("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &got); err != nil {
		return "", err
	}
	if got.ExceptionDetails != nil {
		return "", errors.New("browser: " + got.ExceptionDetails.Exception.Description)
	}
	text, _ := got.Result.Value.(string)
	return text, nil
}

func browserOf(ts *testscript.TestScript) *browser {
	b, ok := browsers.Load(ts.Getenv("WORK"))
	if !ok {
		ts.Fatalf("no browser: say browser-start before")
	}
	return b.(*browser)
}

// cmdBrowserOpen implements "browser-open URL": opens the URL, as somebody does who types it, and
// prints what there is to read.
func cmdBrowserOpen(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: browser-open URL")
	}
	b := browserOf(ts)
	var got struct{ ErrorText string }
	ts.Check(b.ask("Page.navigate", map[string]any{"url": args[0]}, &got))
	if got.ErrorText != "" {
		ts.Fatalf("browser: %s: %s", args[0], got.ErrorText)
	}
	b.waitFor(ts, `document.readyState`, "complete")
	text, err := b.run(whatIsRead)
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), text)
}

// cmdBrowserWait implements "browser-wait TEXT": waits until the page has the text, and prints what
// there is to read.
func cmdBrowserWait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: browser-wait TEXT")
	}
	fmt.Fprintln(ts.Stdout(), browserOf(ts).waitFor(ts, whatIsRead, args[0]))
}

const whatIsRead = "document.body.innerText"

// waitFor evaluates an expression until it has the text, and returns its value.
func (b *browser) waitFor(ts *testscript.TestScript, expression, text string) string {
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		value, err := b.run(expression)
		ts.Check(err)
		if strings.Contains(value, text) {
			return value
		}
		if time.Since(begin) > browserPatience {
			ts.Fatalf("browser: %s has no %q:\n%s", expression, text, value)
		}
	}
}

// cmdBrowserRun implements "browser-run EXPRESSION": evaluates JavaScript in the page and prints
// the result if it is a text.
func cmdBrowserRun(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: browser-run EXPRESSION")
	}
	text, err := browserOf(ts).run(args[0])
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), text)
}

// cmdBrowserSize implements "browser-size WIDTH HEIGHT": sets the size of the window, in pixels of
// CSS.
func cmdBrowserSize(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: browser-size WIDTH HEIGHT")
	}
	width, err := strconv.Atoi(args[0])
	ts.Check(err)
	height, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(browserOf(ts).ask("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": true,
	}, nil))
}

// cmdBrowserMedia implements "browser-media MEDIUM SCHEME": shows pages as on this medium, screen or
// print, to somebody who prefers this colour scheme, light or dark.
func cmdBrowserMedia(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: browser-media MEDIUM SCHEME")
	}
	ts.Check(browserOf(ts).ask("Emulation.setEmulatedMedia", map[string]any{
		"media": args[0], "features": []map[string]string{{"name": "prefers-color-scheme", "value": args[1]}},
	}, nil))
}

// cmdBrowserShot implements "browser-shot FILE": writes a picture of the page, a PNG, for people
// who run a script with -testwork.
func cmdBrowserShot(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: browser-shot FILE")
	}
	var got struct{ Data []byte }
	ts.Check(browserOf(ts).ask("Page.captureScreenshot", nil, &got))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), got.Data, 0o644))
}

// browserKeys are the keys with names: the value of the key (W3C UI Events), and the code that
// Windows has for it.
var browserKeys = map[string]struct {
	key, text string
	code      int
}{"Tab": {"Tab", "", 9}, "Enter": {"Enter", "\r", 13}, "Space": {" ", " ", 32}}

// cmdBrowserKeys implements "browser-keys KEY...": presses keys, one after the other: Tab, Enter and
// Space, and of any other word its letters. It prints what has the focus then: its text, or its id.
func cmdBrowserKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: browser-keys KEY...")
	}
	b := browserOf(ts)
	for _, key := range args {
		if k, named := browserKeys[key]; named {
			press := map[string]any{"type": "keyDown", "key": k.key, "code": key, "text": k.text, "windowsVirtualKeyCode": k.code}
			ts.Check(b.ask("Input.dispatchKeyEvent", press, nil))
			press["type"], press["text"] = "keyUp", ""
			ts.Check(b.ask("Input.dispatchKeyEvent", press, nil))
			continue
		}
		ts.Check(b.ask("Input.insertText", map[string]any{"text": key}, nil))
	}
	text, err := b.run("document.activeElement.innerText.split('\\n')[0] || document.activeElement.id")
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), text)
}

// cmdBrowserPrint implements "browser-print FILE": prints the page into a PDF, as somebody
// does who changes no setting, and says how many pages that takes.
func cmdBrowserPrint(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: browser-print FILE")
	}
	var got struct{ Data []byte }
	ts.Check(browserOf(ts).ask("Page.printToPDF", map[string]any{"preferCSSPageSize": true}, &got))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), got.Data, 0o644))
	fmt.Fprintf(ts.Stdout(), "%d pages\n", len(pdfPage.FindAll(got.Data, -1)))
}

// pdfPage begins a page in a PDF of Chromium's (ISO 32000-1, section 7.7.3.3).
var pdfPage = regexp.MustCompile(`/Type\s*/Page\b[^s]`)

// chat is the page of an upstream: who its visitor is, and what comes back on a WebSocket.
var chat = template.Must(template.New("chat").Parse(`<!DOCTYPE html>
<meta charset="utf-8">
<title>Chat</title>
<h1>{{.Name}}</h1>
<p>You are {{.Subject}}.</p>
<ul></ul>
<button>Say again</button>
<script>
const list = document.querySelector("ul")
const show = text => { list.append(document.createElement("li")); list.lastChild.textContent = text }
const socket = new WebSocket("wss://" + location.host + "/api/v4/websocket")
socket.onopen = () => socket.send("hello")
socket.onmessage = message => show(message.data)
socket.onclose = () => show("The connection was closed.")
document.querySelector("button").onclick = () => socket.send("again")
</script>
`))

func (name upstream) showChat(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	chat.Execute(w, struct{ Name, Subject string }{string(name), r.Header.Get("X-SSL-Client-Cert-Subject-DN")})
}
