// Package tools has the programs of others that the tests of several packages ask.
package tools

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"sync"
)

// TB is what the tools need of a test; rapid's tests have it too.
type TB interface {
	Helper()
	Fatal(args ...any)
	Skip(args ...any)
}

// Need skips a test for which a program is missing.
func Need(t TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		Missing(t, "there is no "+program)
	}
}

// Missing skips a test. In continuous integration that is a failure, so that nothing is
// left out silently.
func Missing(t TB, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

const certbot = `
import json, sys
from certbot_nginx._internal.nginxparser import loads
for line in sys.stdin:
    try:
        tree = loads(json.loads(line))
    except Exception as e:
        tree = "certbot: %s" % e
    print(json.dumps(tree), flush=True)
`

// Certbot reads NGINX configuration with the parser of certbot's plugin, of the Debian
// package python3-certbot-nginx: blocks and directives as nested lists, or a string that
// says what is wrong. It leaves arguments quoted. One Python serves all tests of a
// process, a line of JSON in and a line of JSON out.
func Certbot(t TB, text []byte) any {
	t.Helper()
	read, err := certbotReader()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := read(text)
	if err != nil {
		Missing(t, "no answer from certbot's parser, of the Debian package python3-certbot-nginx: "+err.Error())
	}
	return tree
}

var certbotReader = sync.OnceValues(func() (func(text []byte) (any, error), error) {
	python := "/usr/bin/python3" // for which Debian's packages are made
	if exec.Command(python, "-c", "import certbot_nginx").Run() != nil {
		python = "python3"
	}
	cmd := exec.Command(python, "-c", certbot)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	out := bufio.NewReader(pipe)
	var lock sync.Mutex
	return func(text []byte) (tree any, err error) {
		lock.Lock()
		defer lock.Unlock()
		line, err := json.Marshal(string(text))
		if err != nil {
			return nil, err
		}
		if _, err := in.Write(append(line, '\n')); err != nil {
			return nil, err
		}
		answer, err := out.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		return tree, json.Unmarshal(answer, &tree)
	}, cmd.Start()
})
