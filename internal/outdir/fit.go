package outdir

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// checkMode refuses a directory in which others could swap files between two of our
// system calls.
func (d *Dir) checkMode() error {
	info, err := d.disk.root.Stat(".")
	if err != nil {
		return fmt.Errorf("output directory %s: %w", d.path, bare(err))
	}
	perm := modeOf(info)
	if perm&0o022 == 0 {
		return nil
	}
	remedy := "chmod go-w " + d.path
	switch on := d.fileSystem(); {
	case on.keepsNoModes():
		remedy = fmt.Sprintf("%s keeps no modes, so put the directory on another one", on)
	case on.mayKeepNoModes():
		remedy += fmt.Sprintf("; if that changes nothing, %s keeps no modes: put the directory on another one", on)
	}
	return fmt.Errorf("output directory %s has mode %04o, so that others can write to it: %s", d.path, perm, remedy)
}

// denied explains why a file may not be opened, in the directory of the one who runs
// this: as a rule root has written it, or restored it.
func (d *Dir) denied(name string, err error) error {
	me := os.Geteuid()
	uid := func(name string) int {
		if info, err := d.disk.root.Lstat(name); err == nil {
			if uid, ok := ownerOf(info); ok {
				return uid
			}
		}
		return me
	}
	if pe, ok := errors.AsType[*fs.PathError](err); !ok || pe.Err != syscall.EACCES || uid(".") != me {
		return bare(err)
	}
	what := "the file"
	for at := name; at != "."; at = path.Dir(at) {
		if owner := uid(at); owner != me {
			person, _ := userName(owner)
			return fmt.Errorf("%w: %s belongs to %s, and the output directory to you: have it given to you (chown)", syscall.EACCES, what, person)
		}
		what = d.join(path.Dir(at))
	}
	return bare(err)
}

// checkOwner refuses to write in a directory that belongs to another user, unless
// that is root. The owner could swap files between two of our system calls, and could
// not read what is left there: keys and the database are open to one user only.
func (d *Dir) checkOwner() error {
	info, err := d.disk.root.Stat(".")
	if err != nil {
		return fmt.Errorf("output directory %s: %w", d.path, bare(err))
	}
	me := os.Geteuid()
	uid, ok := ownerOf(info)
	if !ok || uid == 0 || uid == me {
		return nil
	}
	owner, sudo := userName(uid)
	writer, _ := userName(me)
	return fmt.Errorf("output directory %s belongs to %s, who could not read what %s writes there: run this as its owner (sudo -u %s)", d.path, owner, writer, sudo)
}

// userName names a user for a person and for sudo -u. A container often has no name
// for a user of its host.
func userName(uid int) (person, sudo string) {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username, u.Username
	}
	return fmt.Sprintf("uid %d", uid), fmt.Sprintf("'#%d'", uid)
}

// checkKeepsModes refuses a file system without modes, where others could read keys.
// The lock, which is made with the mode of a secret, shows it for nothing. Where its
// mode is wider, somebody may have changed it: then another file is made, empty, and
// removed. A crash in here leaves that file, which the next writer sweeps.
func (d *Dir) checkKeepsModes(lock *os.File) error {
	if perm, err := permOf(lock); err == nil && perm&0o077 == 0 {
		return nil
	}
	if err := d.mkdir(stageDir, ModePrivate); err != nil {
		return err
	}
	probe, err := d.disk.create(stageDir+"/"+rand.Text(), os.O_WRONLY|os.O_EXCL, ModeSecret)
	if err != nil {
		return fmt.Errorf("%s: %w", d.join(stageDir), bare(err))
	}
	perm, err := permOf(probe.f)
	probe.f.Close()
	if err := cmp.Or(err, d.disk.remove(probe.name)); err != nil {
		return fmt.Errorf("%s: %w", d.join(stageDir), bare(err))
	}
	if perm&0o077 != 0 {
		return fmt.Errorf("output directory %s: %s keeps no modes, so that others could read keys (a file with mode %04o has %04o there): put the directory on another one",
			d.path, d.fileSystem(), ModeSecret, perm)
	}
	return nil
}

func permOf(f *os.File) (fs.FileMode, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Mode().Perm(), nil
}

// fileSystem is a mounted file system.
type fileSystem struct {
	kind string // as in /proc/filesystems, with what a FUSE program calls itself behind a dot; "" if that cannot be told
	at   string // where it is mounted
}

func (s fileSystem) String() string {
	if s.kind == "" {
		return "its file system"
	}
	return fmt.Sprintf("its file system (%s, mounted on %s)", s.kind, s.at)
}

// keepsNoModes reports whether all files of such a file system have the modes that it
// was mounted with.
func (s fileSystem) keepsNoModes() bool {
	return slices.Contains([]string{"vfat", "msdos", "exfat"}, s.kind)
}

// mayKeepNoModes reports whether that depends on how it was mounted, or on what it
// shows of another host.
func (s fileSystem) mayKeepNoModes() bool {
	kind, _, _ := strings.Cut(s.kind, ".")
	return slices.Contains([]string{"9p", "cifs", "fuse", "fuseblk", "hfs", "ntfs", "ntfs3", "smb3", "vboxsf", "virtiofs"}, kind)
}
