package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// programs are what the tests built of the program, by the arguments of go build. This
// binary could run as mtlsplan itself, but takes three times as long to start: it has the
// judges and the schemas in it.
var programs struct {
	sync.Mutex
	dir   string
	built map[string]string
}

// buildOnce says where the program is, built with these flags. Without -race it is built as
// it is shipped, without cgo.
func buildOnce(flags ...string) (string, error) {
	programs.Lock()
	defer programs.Unlock()
	key := strings.Join(flags, " ")
	if program := programs.built[key]; program != "" {
		return program, nil
	}
	if programs.dir == "" {
		dir, err := os.MkdirTemp("", "mtlsplan-programs-")
		if err == nil {
			err = os.Chmod(dir, 0o755) // other users run them, too
		}
		if err != nil {
			return "", err
		}
		programs.dir, programs.built = dir, map[string]string{}
	}
	program := filepath.Join(programs.dir, fmt.Sprint(len(programs.built)), "mtlsplan")
	build := exec.Command("go", append(append([]string{"build"}, flags...), "-o", program, ".")...)
	if !slices.Contains(flags, "-race") {
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", build, err, out)
	}
	programs.built[key] = program
	return program, nil
}

func removePrograms() {
	if programs.dir != "" {
		_ = os.RemoveAll(programs.dir)
	}
}

// realProgram builds the program as it is.
func realProgram(ts *testscript.TestScript, flags ...string) string {
	program, err := buildOnce(flags...)
	ts.Check(err)
	return program
}

// scriptProgram builds the program that scripts run: testdata/main.go is in the place of its
// main.go.
var scriptProgram = sync.OnceValues(func() (string, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(here, "main.go"): filepath.Join(here, "testdata", "main.go"),
	}})
	if err != nil {
		return "", err
	}
	overlay, err := os.CreateTemp("", "overlay-*.json")
	if err != nil {
		return "", err
	}
	defer os.Remove(overlay.Name())
	_, err = overlay.Write(text)
	if err == nil {
		err = overlay.Close()
	}
	if err != nil {
		return "", err
	}
	return buildOnce("-overlay", overlay.Name())
})

// scriptsReleased is when the program was released, to scripts: their dates stay as they
// are when the next version is released. testdata/main.go says the same.
var scriptsReleased = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
