package outdir

import (
	"errors"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// exchange is renameat2(2) with RENAME_EXCHANGE. Some file systems do not have it.
func exchange(root *os.Root, from, to string) error {
	var dirs [2]*os.File
	for i, name := range []string{from, to} {
		dir, err := root.Open(path.Dir(name))
		if err != nil {
			return err
		}
		defer dir.Close()
		dirs[i] = dir
	}
	err := unix.Renameat2(int(dirs[0].Fd()), path.Base(from), int(dirs[1].Fd()), path.Base(to), unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return errNoExchange
	}
	return err
}
