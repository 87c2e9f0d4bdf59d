package outdir

import (
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

// denied explains why a file may not be opened: as a rule root has written it, or restored
// it, or has made the whole directory.
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
	if pe, ok := errors.AsType[*fs.PathError](err); !ok || pe.Err != syscall.EACCES {
		return bare(err)
	}
	if owner := uid("."); owner != me {
		person, sudo := userName(owner)
		return fmt.Errorf("%w: the output directory belongs to %s: run as that user (sudo -u %s), or have it given to you (chown -R %d %s, as root)", syscall.EACCES, person, sudo, me, d.path)
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
	if d.disk.made { // nobody has had the time to give it away
		return d.givenAway(uid)
	}
	owner, sudo := userName(uid)
	writer, _ := userName(me)
	return fmt.Errorf("output directory %s belongs to %s, who could not read what %s writes there: run this as its owner (sudo -u %s)", d.path, owner, writer, sudo)
}

// owner is the user to whom the output directory belongs.
func (d *Dir) owner() (uid int, known bool) {
	d.owned.Do(func() {
		d.ownerID = -1
		if d.disk.root == nil {
			return
		}
		if info, err := d.disk.root.Stat("."); err == nil {
			if uid, ok := ownerOf(info); ok {
				d.ownerID = uid
			}
		}
	})
	return d.ownerID, d.ownerID >= 0
}

// stranger names whom a file belongs to, if neither to the owner of the output directory
// nor to root, who may read and change it anyway.
func (d *Dir) stranger(info fs.FileInfo) string {
	uid, ok := ownerOf(info)
	if !ok || uid == 0 {
		return ""
	}
	if owner, known := d.owner(); !known || uid == owner {
		return ""
	}
	person, _ := userName(uid)
	return person
}

// userName names a user for a person and for sudo -u. A container often has no name
// for a user of its host.
func userName(uid int) (person, sudo string) {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username, u.Username
	}
	return fmt.Sprintf("uid %d", uid), fmt.Sprintf("'#%d'", uid)
}

// checkKeepsModes refuses a file system without modes, where others could read keys, and
// one that gives new files to somebody else, who could. The lock, which is made with the
// mode of a secret, shows it for nothing. Where it has another mode or owner, somebody may
// have changed it: then another file is made, empty, and removed. A crash in here leaves
// that file, which the next writer sweeps.
func (d *Dir) checkKeepsModes(lock *os.File) error {
	probe := &file{lock, &d.disk, lockName}
	unfit := d.unfit(probe)
	if errno, failed := errors.AsType[syscall.Errno](unfit); unfit == nil || failed && !refusesModes(errno) {
		return unfit
	}
	if err := d.mkdir(stageDir, ModePrivate); err != nil {
		return err
	}
	probe, err := d.disk.create(stageDir+"/"+rand.Text(), os.O_WRONLY|os.O_EXCL, ModeSecret)
	if err != nil {
		return d.fault(stageDir, err)
	}
	unfit = d.unfit(probe)
	probe.f.Close()
	if err := d.disk.remove(probe.name); err != nil {
		return d.fault(stageDir, err)
	}
	return unfit
}

// unfit says why no secret may be written where a file like this one comes of being made
// with the mode of a secret.
func (d *Dir) unfit(f *file) error {
	info, err := f.f.Stat()
	if err != nil {
		return d.fault(f.name, err)
	}
	me := os.Geteuid()
	if uid, ok := ownerOf(info); ok && uid != me {
		return d.givenAway(uid)
	}
	perm := info.Mode().Perm()
	switch {
	case perm&0o077 != 0:
		return fmt.Errorf("output directory %s: %s keeps no modes, so that others could read keys (a file with mode %04o has %04o there): put the directory on another one",
			d.path, d.fileSystem(), ModeSecret, perm)
	case perm&^ModeSecret != 0:
		return fmt.Errorf("output directory %s: %s keeps no modes (a file with mode %04o has %04o there), so that nothing could tell whether keys are open to others: put the directory on another one",
			d.path, d.fileSystem(), ModeSecret, perm)
	}
	return d.modeless(f.chmod(ModeSecret))
}

// modeless explains why the mode of a file that was just made cannot be set.
func (d *Dir) modeless(err error) error {
	if err == nil {
		return nil
	}
	if !refusesModes(err) {
		return fmt.Errorf("output directory %s: %w", d.path, bare(err))
	}
	var text error = err
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		text = pe.Err
	}
	return fmt.Errorf("output directory %s: %s keeps no modes (chmod: %w), so that keys could not be kept from others: put the directory on another one", d.path, d.fileSystem(), text)
}

// refusesModes reports whether a chmod that ended like this is none of what the file
// system, or the owner of the file, allows.
func refusesModes(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EOPNOTSUPP)
}

// givenAway is the error for what is made here and belongs to somebody else.
func (d *Dir) givenAway(uid int) error {
	owner, sudo := userName(uid)
	writer, _ := userName(os.Geteuid())
	return fmt.Errorf("output directory %s: %s gives to %s what %s makes there: run this as %s (sudo -u %s), or put the directory on another one", d.path, d.fileSystem(), owner, writer, owner, sudo)
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

// tryNames refuses names that the file system does not take, in a batch's own directory
// and while the batch can still be given up: renaming to such a name would fail in this run
// and in every later one. Only names that some file systems refuse are tried. A crash in
// here leaves an empty file, which is swept with the rest.
func (d *Dir) tryNames(stage string, ops []op) error {
	for _, o := range ops {
		base := path.Base(o.Name)
		if o.Do == "remove" || o.Do == "chmod" || !mayBeRefused(base) {
			continue
		}
		if _, err := d.disk.root.Lstat(o.Name); err == nil {
			continue
		}
		f, err := d.disk.create(stage+"/"+base, os.O_WRONLY|os.O_EXCL, ModeSecret)
		switch {
		case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.EILSEQ):
			return fmt.Errorf("%s: %s takes no file of this name: choose another name in the spec, or put the output directory on another one", d.join(o.Name), d.fileSystem())
		case err != nil:
			return d.fault(o.Name, err)
		}
		f.f.Close()
		if err := d.disk.remove(f.name); err != nil {
			return d.fault(f.name, err)
		}
	}
	return nil
}

// longestEverywhere is the longest name in bytes that every file system takes: eCryptfs
// has 143, most others 255.
const longestEverywhere = 143

// mayBeRefused reports whether Windows has no such file: its devices, with and without an
// ending, and names that end with a dot or hold one of its signs. See "Naming Files, Paths,
// and Namespaces" in the documentation of its API.
func mayBeRefused(base string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(base), ".")
	device := slices.Contains([]string{"con", "prn", "aux", "nul"}, stem) ||
		len(stem) == 4 && (stem[:3] == "com" || stem[:3] == "lpt") && stem[3] >= '0' && stem[3] <= '9'
	return device || len(base) > longestEverywhere || strings.HasSuffix(base, ".") || strings.ContainsAny(base, `"*:<>?\|`)
}
