package outdir

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzJournal gives a reader and a writer any journal: they end, with or without an
// error, and nothing outside the directory is touched.
func FuzzJournal(f *testing.F) {
	for _, s := range []string{
		`[]`, `null`, `[null]`, `{}`, `[{"do":"put"`, `[{"do":"put","name":"ann.key","from":"db/stage/x/0","mode":384}]`,
		`[{"do":"append","name":"db/index.txt","from":"db/stage/x/0","at":6,"mode":384},{"do":"remove","name":"old"}]`,
		`[{"do":"append","name":"db/index.txt","from":"db/stage/x/0","at":-1,"mode":384}]`,
		`[{"do":"append","name":"db/index.txt","from":"db/stage/x/0","at":9223372036854775807,"mode":384}]`,
		`[{"do":"put","name":"../beside","from":"db/stage/x/0","mode":384}]`,
		`[{"do":"put","name":"/beside","from":"db/stage/x/0","mode":384}]`,
		`[{"do":"put","name":"x/../../beside","from":"db/stage/x/0","mode":384}]`,
		`[{"do":"put","name":"x","from":"../beside","mode":384}]`,
		`[{"do":"move","name":"../beside","from":"old","mode":384},{"do":"move","name":"x","from":"../beside","mode":384}]`,
		`[{"do":"remove","name":"../beside"},{"do":"remove","name":"."},{"do":"remove","name":""}]`,
		`[{"do":"chmod","name":"../beside","mode":511}]`, `[{"do":"chmod","name":".","mode":511}]`, `[{"do":"chmod","name":"old","mode":4294967295}]`,
		`[{"do":"move","name":"x","from":"db/lock","mode":384}]`, `[{"do":"put","name":"db/lock","from":"db/stage/x/0","mode":384}]`,
		`[{"do":"\u001b[31m","name":"\u001b[31m"}]`, `[{"do":"put","name":"a\u0000b","from":"db/stage/x/0"}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, journal []byte) {
		root := t.TempDir()
		dir := filepath.Join(root, "out")
		for name, data := range map[string]string{"beside": "mine", "out/old": "old", "out/db/index.txt": "index\n", "out/db/stage/x/0": "staged", "out/db/stage/x/journal": string(journal)} {
			file := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		if r, err := Open(dir, nil); err == nil {
			for _, name := range []string{"old", "db/index.txt", "ann.key", "x"} {
				_, _ = r.Read(name)
			}
			r.Close()
		}
		if w, err := Lock(t.Context(), dir, "test", 0, nil); err == nil {
			w.Close()
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
		entries, err := os.ReadDir(root)
		if err != nil || len(entries) != 2 {
			t.Errorf("outside the directory: %v, %v", entries, err)
		}
		info, err := os.Stat(filepath.Join(root, "beside"))
		if data, _ := os.ReadFile(filepath.Join(root, "beside")); err != nil || string(data) != "mine" || info.Mode() != 0o600 {
			t.Errorf("the file outside the directory: %q, %v, %v", data, info, err)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o022 != 0 {
			t.Errorf("the directory itself: %v, %v", info, err)
		}
	})
}
