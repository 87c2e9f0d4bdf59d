package outdir

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTellsOfLosses(t *testing.T) {
	for release, want := range map[string]bool{
		"5.8.0": true, "5.10.0-33-amd64": true, "6.18.44": true, "5.7.19": false, "4.18.0-553.el8_10.x86_64": false, "": false, "x": false,
	} {
		if tellsOfLosses(release) != want {
			t.Errorf("%q: %v", release, !want)
		}
	}
}

// writers are the names of files below db/stage that this process has open for
// writing.
func writers(t *testing.T) map[string]bool {
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, fd := range open {
		path, _ := os.Readlink(fd)
		about, _ := os.ReadFile("/proc/self/fdinfo/" + filepath.Base(fd))
		_, name, staged := strings.Cut(path, "/out/"+stageDir+"/")
		_, flags, _ := strings.Cut(string(about), "flags:\t")
		if flags, _, _ = strings.Cut(flags, "\n"); staged && strings.HasSuffix(flags, "1") {
			out[stageDir+"/"+name] = true
		}
	}
	return out
}

// A staged file is synced on the descriptor that wrote it: no other is sure to hear of
// data that the kernel could not write. Many files have one barrier. None stays open,
// so that a low limit of descriptors suffices for a batch of any size.
func TestStagedFilesAreSyncedAsWritten(t *testing.T) {
	defer func(has bool) { hasBarrier = has }(hasBarrier)
	for _, c := range []struct {
		barrier        bool
		files          int
		syncs, syncfss int
	}{
		{true, 5, 6, 0}, {true, barrierFrom - 2, barrierFrom - 1, 0}, {true, barrierFrom - 1, 0, 1}, {true, 100, 0, 1}, {false, 100, 101, 0}, // with the journal
	} {
		t.Run(fmt.Sprint(c.files, c.barrier), func(t *testing.T) {
			hasBarrier = c.barrier
			syncs, syncfss, most, journal := 0, 0, 0, false
			ctx := WithTrace(context.Background(), func(ch Change, do func() error) error {
				open := writers(t)
				most = max(most, len(open))
				switch staged := strings.Count(ch.Name, "/") == 3; {
				case journal:
				case ch.Do == "sync" && staged:
					if syncs++; !open[ch.Name] {
						t.Errorf("%s is synced, and is not open for writing", ch.Name)
					}
				case ch.Do == "syncfs":
					syncfss++
				case ch.Do == "rename":
					journal = true
				}
				return do()
			})
			d, err := Lock(ctx, filepath.Join(t.TempDir(), "out"), "test", 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			b := d.Begin()
			for i := range c.files {
				b.Put(fmt.Sprint(i), nil, ModePublic)
			}
			if err := b.Commit(); err != nil {
				t.Fatal(err)
			}
			if syncs != c.syncs || syncfss != c.syncfss || most > 1 || len(writers(t)) > 0 {
				t.Errorf("%d syncs and %d barriers; at most %d files were open, and %d still are", syncs, syncfss, most, len(writers(t)))
			}
		})
	}
}
