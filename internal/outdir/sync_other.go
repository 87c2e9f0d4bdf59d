//go:build !linux

package outdir

import (
	"errors"
	"os"
)

// hasBarrier is false: files are made durable one by one.
var hasBarrier = false

func syncfs(*os.File) error { return errors.ErrUnsupported }
