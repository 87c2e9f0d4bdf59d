//go:build !linux

package killat

import (
	"errors"
	"os/exec"
)

// Run needs Linux.
func Run(*exec.Cmd, Strike) (Result, error) {
	return Result{}, errors.New("killat needs Linux")
}
