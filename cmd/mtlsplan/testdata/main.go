// Command mtlsplan as scripts run it: the program with this file in the place of its main.go.
// It keeps what it answers in any format but text for the tests, which check it.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

func main() {
	args := os.Args[1:]
	out := &answerCopy{to: os.Stdout}
	var stdout io.Writer = os.Stdout
	if formatIn(args) != "text" {
		stdout = out
	}
	// This is scriptsReleased of the tests.
	code := live(stdout, time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC))
	answer := map[string]any{"args": args}
	if stdout == out && !out.broken {
		answer["text"] = append([]byte{}, out.text.Bytes()...)
	}
	if i := slices.IndexFunc(args, func(arg string) bool { return arg == "--out" || arg == "-o" }); i >= 0 && i+1 < len(args) && args[0] == "plan" && code != exitFailure {
		saved, _ := os.ReadFile(args[i+1])
		answer["saved"] = append([]byte{}, saved...)
	}
	if len(answer) > 1 {
		if err := keep(os.Getenv("MTLSPLAN_TEST_ANSWERS"), answer); err != nil {
			fmt.Fprintln(os.Stderr, "the answer is not kept for the test:", err)
			code = 99 // or nobody would check it
		}
	}
	os.Exit(code)
}

// answerCopy keeps the text that went to standard output.
type answerCopy struct {
	to     io.Writer
	text   bytes.Buffer
	broken bool // standard output did not accept all of it
}

func (c *answerCopy) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.text.Write(p[:n])
	c.broken = c.broken || err != nil
	return n, err
}

// keep adds a line to the file, in one call: programs of a script run side by side.
func keep(file string, answer any) error {
	line, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(line, '\n'))
	return err
}
