package outdir

import "testing"

// These are lines of /proc/self/mountinfo as Linux 6.18 writes them.
const mounts = `22 1 254:0 / / rw,relatime - ext4 /dev/root rw
31 22 8:17 / /media/ada/MY\040STICK rw,nosuid shared:5 - vfat /dev/sdb1 rw,uid=1000,fmask=0022,dmask=0022
33 22 0:40 / /mnt/bound rw,relatime - fuse.bindfs /home rw,user_id=0,group_id=0,allow_other
34 22 0:41 /pki /srv/pki rw,relatime master:3 propagate_from:2 - btrfs /dev/sdc1 rw,subvol=/pki
`

func TestMountOf(t *testing.T) {
	for id, want := range map[string]struct {
		text      string
		none, may bool
	}{
		"22": {"its file system (ext4, mounted on /)", false, false},
		"31": {"its file system (vfat, mounted on /media/ada/MY STICK)", true, false},
		"33": {"its file system (fuse.bindfs, mounted on /mnt/bound)", false, true},
		"34": {"its file system (btrfs, mounted on /srv/pki)", false, false},
		"2":  {"its file system", false, false},
	} {
		on := mountOf("pos:\t0\nflags:\t0100000\nmnt_id:\t"+id+"\nino:\t7\n", mounts)
		if on.String() != want.text || on.keepsNoModes() != want.none || on.mayKeepNoModes() != want.may {
			t.Errorf("mount %s: %s, %v, %v", id, on, on.keepsNoModes(), on.mayKeepNoModes())
		}
	}
	if on := lockTemp(t).fileSystem(); on.kind == "" || on.at == "" {
		t.Errorf("of a temporary directory: %q", on)
	}
}
