package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/plan"
)

// hook is a writer that calls a function before each write.
type hook struct {
	bytes.Buffer
	before func()
}

func (h *hook) Write(p []byte) (int, error) {
	h.before()
	return h.Buffer.Write(p)
}

const interruptedSpec = `
ca "mattermost" {
  subject {
    common_name = "example.mattermost.com"
  }
  key = "ecdsa-p256"
}

user "ann" {
  email = "ann@mattermost.com"
}

user "bob" {
  email = "bob@mattermost.com"
}
`

// TestInterruptedApplyIsFinishedByTheNext interrupts an apply as soon as the first step is
// in place, as a signal does.
func TestInterruptedApplyIsFinishedByTheNext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mtlsplan.hcl")
	if err := os.WriteFile(file, []byte(interruptedSpec), 0o600); err != nil {
		t.Fatal(err)
	}
	mtlsplan := func(ctx context.Context, before func(), args ...string) (code int, stdout, stderr string) {
		out, talk := &hook{before: before}, &bytes.Buffer{}
		code = run(ctx, append(args, file), process{strings.NewReader(""), out, talk, os.LookupEnv, time.Now, scriptsReleased})
		return code, out.String(), talk.String()
	}
	never := func() {}

	ctx, cancel := context.WithCancel(t.Context())
	code, stdout, stderr := mtlsplan(ctx, cancel, "apply")
	if code != exitInterrupt || stderr != "mtlsplan: interrupted: what was finished is in place; run apply again\n" {
		t.Errorf("interrupted apply: exit %d, stderr %q", code, stderr)
	}
	if !strings.Contains(stdout, "+ ca.mattermost") || !strings.Contains(stdout, "not done") {
		t.Errorf("interrupted apply printed\n%s", stdout)
	}
	if code, stdout, stderr := mtlsplan(ctx, never, "plan"); code != exitInterrupt || stdout != "" || stderr != "mtlsplan: interrupted\n" {
		t.Errorf("interrupted plan: exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if code, stdout, stderr := mtlsplan(t.Context(), never, "apply"); code != exitDone {
		t.Errorf("apply after it: exit %d\n%s%s", code, stdout, stderr)
	}
	if code, stdout, _ := mtlsplan(t.Context(), never, "plan", "--detailed-exitcode"); code != exitDone {
		t.Errorf("plan after that: exit %d\n%s", code, stdout)
	}
}

const slowSpec = `
ca "m" {
  subject {
    common_name = "example.mattermost.com"
  }
  key = "ecdsa-p256"
}

defaults {
  key = "rsa-4096"
}

user "ann" {
  email = "ann@mattermost.com"
}

user "bob" {
  email = "bob@mattermost.com"
}

user "cid" {
  email = "cid@mattermost.com"
}
`

// TestInterruptedApplyIsOneDocument interrupts an apply after the CA is in place and before
// the users' keys are.
func TestInterruptedApplyIsOneDocument(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mtlsplan.hcl")
	if err := os.WriteFile(file, []byte(slowSpec), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(filepath.Join(dir, "pki", "ca.m.crt")); err == nil {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	var out, talk bytes.Buffer
	args := []string{"apply", "--format", "json", file}
	if code := run(ctx, args, process{strings.NewReader(""), &out, &talk, os.LookupEnv, time.Now, scriptsReleased}); code != exitInterrupt {
		t.Errorf("exit %d", code)
	}
	if err := checkDocument(args, out.Bytes()); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	var doc plan.ApplyDocument
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Steps) != 5 || len(doc.Applied) == 0 || len(doc.Applied) == len(doc.Steps) || doc.Error == nil || doc.Error.Code != plan.Interrupted {
		t.Errorf("the document does not show the finished steps:\n%s", &out)
	}
	if want := "mtlsplan: " + doc.Error.Message + "\n"; talk.String() != want {
		t.Errorf("standard error: %q, want %q", &talk, want)
	}
}
