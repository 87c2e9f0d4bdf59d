//go:build !(linux && (amd64 || arm64))

package killat

import (
	"errors"
	"os/exec"
)

// Run needs Linux on amd64 or arm64.
func Run(*exec.Cmd, Strike) (Result, error) {
	return Result{}, errors.New("programs can be struck at a system call on Linux only, on amd64 and arm64")
}
