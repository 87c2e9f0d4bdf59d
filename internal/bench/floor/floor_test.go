package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLooks proves that a run with nothing to do checks the files: it notices a
// touched file, a new user and a lost file.
func TestLooks(t *testing.T) {
	j := &job{dir: t.TempDir()}
	scenario := func(name string, users int) error {
		list := "name,email\n"
		for i := range users {
			list += fmt.Sprintf("user%d,user%d@example.com\n", i, i)
		}
		if err := os.WriteFile(filepath.Join(j.dir, "users.csv"), []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		return run([]string{name, "-dir", j.dir, "-list", "users.csv", "-prove"})
	}
	for _, step := range []struct {
		scenario string
		users    int
		wants    string
	}{{"fresh", 3, ""}, {"noop", 3, ""}, {"noop", 4, "1 users are missing"}, {"add", 4, ""}, {"noop", 4, ""}} {
		if err := scenario(step.scenario, step.users); (err == nil) != (step.wants == "") || err != nil && !strings.Contains(err.Error(), step.wants) {
			t.Errorf("%s of %d users: %v, want %q", step.scenario, step.users, err, step.wants)
		}
	}
	crt := j.path("user1", "crt")
	if err := os.Chtimes(crt, time.Now(), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := scenario("noop", 4); err == nil || !strings.Contains(err.Error(), "has changed") {
		t.Errorf("a touched file: %v", err)
	}
	if err := os.Remove(crt); err != nil {
		t.Fatal(err)
	}
	if err := scenario("noop", 4); !os.IsNotExist(err) {
		t.Errorf("a lost file: %v", err)
	}
}
