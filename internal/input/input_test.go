package input

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) string {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path(name)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(syscall.Mkfifo(path("fifo"), 0o600))
	must(os.Symlink("fifo", path("link to a fifo")))
	must(os.Symlink("eight", path("link to a file")))
	socket, err := net.Listen("unix", path("socket"))
	must(err)
	defer socket.Close()
	for _, c := range []struct {
		name, path, want string
		err              error
	}{
		{"a file", write("eight", "12345678"), "12345678", nil},
		{"a link to it", path("link to a file"), "12345678", nil},
		{"an empty file", write("empty", ""), "", nil},
		{"a byte too many", write("nine", "123456789"), "", ErrTooLarge},
		{"a huge file", write("huge", strings.Repeat("x", 1<<20)), "", ErrTooLarge},
		{"a file that tells no size", "/proc/self/status", "", ErrTooLarge},
		{"no file", path("none"), "", fs.ErrNotExist},
		{"a file as a directory", path("eight/x"), "", syscall.ENOTDIR},
		{"a directory", dir, "", ErrDirectory},
		{"a fifo", path("fifo"), "", ErrNotRegular},
		{"a link to it", path("link to a fifo"), "", ErrNotRegular},
		{"a socket", path("socket"), "", ErrNotRegular},
		{"a device", os.DevNull, "", ErrNotRegular},
	} {
		begin := time.Now()
		text, info, err := Read(t.Context(), c.path, 8)
		if !errors.Is(err, c.err) || string(text) != c.want || (info == nil) != (c.err != nil) {
			t.Errorf("%s: %q, %v, %v; want %q, %v", c.name, text, info, err, c.want, c.err)
		}
		if err != nil && strings.Contains(err.Error(), "/") {
			t.Errorf("%s: the error has the path: %v", c.name, err)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%s: it took %s", c.name, took)
		}
	}
}

// A fifo that comes between the look and the opening makes nobody wait.
func TestReadOfAFileThatIsReplaced(t *testing.T) {
	dir := t.TempDir()
	name, fifo, file := filepath.Join(dir, "name"), filepath.Join(dir, "fifo"), filepath.Join(dir, "file")
	if err := errors.Join(syscall.Mkfifo(fifo, 0o600), os.WriteFile(file, []byte("text"), 0o600)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	done := make(chan struct{})
	defer func() { <-done }()
	swaps, end := context.WithCancel(ctx)
	defer end()
	go func() {
		defer close(done)
		next := filepath.Join(dir, "next")
		for i := 0; swaps.Err() == nil; i++ {
			_ = os.Symlink([]string{fifo, file}[i%2], next)
			_ = os.Rename(next, name)
		}
	}()
	for seen := map[error]int{}; seen[nil] < 100 || seen[ErrNotRegular] < 100; {
		text, _, err := Read(ctx, name, 100)
		switch {
		case err == nil && string(text) != "text":
			t.Fatalf("%q", text)
		case err != nil && err != ErrNotRegular && !errors.Is(err, fs.ErrNotExist):
			t.Fatal(err)
		}
		seen[err]++
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if text, _, err := Read(ctx, os.Args[0], 1<<40); !errors.Is(err, context.Canceled) || text != nil {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}
