package datapath

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	bpflink "github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Names of pins beside those of the maps: a link's has the index of its interface behind it.
const (
	pinTC  = "tc-"
	pinXDP = "xdp-"
)

// pins is a directory on a BPF file system with the maps and links of a kernel path, which so live on without a process. nil
// means that nothing is pinned. Only one process at a time has it.
type pins struct {
	dir  string
	lock *os.File
	// taken tells that the maps of a process before this one are there.
	taken bool
	// others are the directories of other layouts, of versions of waggle whose maps look different.
	others []string
}

// openPins makes the directory for a layout under parent, or finds what a process before this one has left there. names are
// those of the maps. It waits for another process to let go of them for as long as patience says.
func openPins(parent, layout string, names []string, patience time.Duration) (*pins, error) {
	if err := onBPFFS(parent); err != nil {
		return nil, err
	}
	lock, err := lockDirectory(parent, patience)
	if err != nil {
		return nil, err
	}
	p := &pins{dir: filepath.Join(parent, layout), lock: lock}
	if err = p.findOthers(parent, layout); err == nil {
		err = p.prepare(names)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return p, nil
}

// onBPFFS makes the directory and sees to it that it can hold pins.
func onBPFFS(dir string) error {
	mkdirErr := os.MkdirAll(dir, 0o700)
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return &UnavailableError{
			Problem: "the directory for pins, " + dir + ", cannot be made", Err: errors.Join(mkdirErr, err),
			Remedy: "mount a BPF file system there, or name another one with --pin-dir: mount -t bpf bpf /sys/fs/bpf; in a container bind the host's",
		}
	}
	if st.Type != unix.BPF_FS_MAGIC {
		return &UnavailableError{
			Problem: "the directory for pins, " + dir + ", is not on a BPF file system",
			Remedy:  "name one that is with --pin-dir: mount -t bpf bpf /sys/fs/bpf; in a container bind the host's",
		}
	}
	return onlyOurs(dir)
}

// onlyOurs is an error if others than root and this user can put files into a directory: what lies there would be taken for the
// flows of a process before this one, and have connections go wherever they like.
func onlyOurs(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return fmt.Errorf("look at the directory for pins: %w", err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR && st.Mode&0o022 == 0 && (st.Uid == 0 || st.Uid == uint32(os.Geteuid())) {
		return nil
	}
	return &UnavailableError{
		Problem: fmt.Sprintf("others can write to the directory for pins, %s (mode %#o, user %d)", dir, st.Mode&0o7777, st.Uid),
		Remedy:  fmt.Sprintf("look at what is in it, then have it be yours alone: chown %d %s; chmod 0700 %s", os.Geteuid(), dir, dir),
	}
}

// lockDirectory takes a lock that the kernel gives back when the process ends, however it does.
func lockDirectory(dir string, patience time.Duration) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock the pins: %w", err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			return nil, errors.Join(&UnavailableError{
				Problem: "another waggle works with the pins in " + dir, Remedy: "end it first, or name another directory with --pin-dir", Err: err, InUse: true,
			}, f.Close())
		}
	}
}

// findOthers finds the pins of other layouts. Those that others than we can write are an error, as ours would be.
func (p *pins) findOthers(parent, layout string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return fmt.Errorf("read the pins: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), layoutPrefix) || e.Name() == layout {
			continue
		}
		other := filepath.Join(parent, e.Name())
		if err := onlyOurs(other); err != nil {
			return err
		}
		p.others = append(p.others, other)
	}
	return nil
}

// removeOthers ends the kernel paths of other layouts, whose maps a program of ours cannot read, and with them their
// connections. Those of another namespace are an error. It is called on a thread of ours, and does nothing on nil.
func (p *pins) removeOthers(log *slog.Logger) error {
	if p == nil {
		return nil
	}
	for _, dir := range p.others {
		other := &pins{dir: dir}
		links, err := other.links()
		if err == nil {
			err = other.refuseElsewhere(links)
		}
		for _, l := range links {
			if err != nil {
				l.Close()
			} else {
				err = l.remove()
			}
		}
		if err == nil {
			err = os.RemoveAll(dir)
		}
		if err != nil {
			return fmt.Errorf("remove the kernel path of another version: %w", err)
		}
		log.Warn("kernel path: that of another version of waggle, with other maps, was removed; its connections end", "pins", dir, "interfaces", len(links))
	}
	p.others = nil
	return nil
}

// prepare makes the directory, unless all maps are there. Half of them is what a process has left that was killed while it made
// them, before it did anything with them.
func (p *pins) prepare(names []string) error {
	p.taken = true
	if err := onlyOurs(p.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range names {
		if _, err := os.Lstat(p.path(name)); err != nil {
			p.taken = false
		}
	}
	if p.taken {
		return nil
	}
	if err := os.RemoveAll(p.dir); err != nil {
		return fmt.Errorf("remove incomplete pins: %w", err)
	}
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return fmt.Errorf("make the directory for pins: %w", err)
	}
	return nil
}

func (p *pins) path(name string) string { return filepath.Join(p.dir, name) }

// maps opens the maps that are there; the caller closes them.
func (p *pins) maps(names []string) (map[string]*ebpf.Map, error) {
	found := make(map[string]*ebpf.Map, len(names))
	for _, name := range names {
		m, err := ebpf.LoadPinnedMap(p.path(name), nil)
		if err != nil {
			return found, fmt.Errorf("open the pinned map %s: %w", name, err)
		}
		found[name] = m
	}
	return found, nil
}

// pinnedLink is a link that a process before this one has left.
type pinnedLink struct {
	bpflink.Link
	path    string
	ifindex int
	xdp     bool
	id      bpflink.ID
	program ebpf.ProgramID
}

// links opens the links that are there. One whose interface is gone is removed.
func (p *pins) links() ([]pinnedLink, error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return nil, fmt.Errorf("read the pins: %w", err)
	}
	var found []pinnedLink
	for _, e := range entries {
		number, tc := strings.CutPrefix(e.Name(), pinTC)
		number, xdp := strings.CutPrefix(number, pinXDP)
		ifindex, err := strconv.Atoi(number)
		if err != nil || !tc && !xdp {
			continue
		}
		l, err := bpflink.LoadPinnedLink(p.path(e.Name()), nil)
		if err != nil {
			return found, fmt.Errorf("open the pinned link %s: %w", e.Name(), err)
		}
		one := pinnedLink{Link: l, path: p.path(e.Name()), ifindex: ifindex, xdp: xdp}
		if one.alive() {
			found = append(found, one)
		} else if err := one.remove(); err != nil {
			return found, err
		}
	}
	return found, nil
}

// alive tells whether the link still is on its interface: an index is used again when its interface is gone.
func (l *pinnedLink) alive() bool {
	info, err := l.Info()
	if err != nil {
		return false
	}
	l.id, l.program = info.ID, info.Program
	if l.xdp {
		return info.XDP() != nil && int(info.XDP().Ifindex) == l.ifindex
	}
	return info.TCX() != nil && int(info.TCX().Ifindex) == l.ifindex
}

// here tells whether a link that is alive is in the namespace of the calling thread: in another one the index may be that of
// another interface.
func (l pinnedLink) here() bool {
	if l.xdp {
		on, err := netlink.LinkByIndex(l.ifindex)
		return err == nil && on.Attrs().Xdp != nil && on.Attrs().Xdp.ProgId == uint32(l.program)
	}
	on, err := bpflink.QueryPrograms(bpflink.QueryOptions{Target: l.ifindex, Attach: ebpf.AttachTCXIngress})
	return err == nil && slices.ContainsFunc(on.Programs, func(p bpflink.AttachedProgram) bool {
		id, ok := p.LinkID()
		return ok && id == l.id
	})
}

// remove takes the link off its interface, which has room for another XDP program at once: without its pin alone the link goes a moment
// later, since the kernel gives back what a file of the BPF file system refers to after a grace period of RCU.
func (l pinnedLink) remove() error {
	return errors.Join(l.Detach(), ignoreNoFile(os.Remove(l.path)), l.Close())
}

// refuseElsewhere is an error if links are in another namespace than that of the calling thread.
func (p *pins) refuseElsewhere(links []pinnedLink) error {
	for _, l := range links {
		if !l.here() {
			return &UnavailableError{
				Problem: p.dir + " holds the kernel path of another network namespace", Remedy: "name another directory with --pin-dir",
			}
		}
	}
	return nil
}

// pin has a link outlive the process; it does nothing on nil.
func (p *pins) pin(l bpflink.Link, kind string, ifindex int) error {
	if p == nil {
		return nil
	}
	path := p.path(kind + strconv.Itoa(ifindex))
	// Whatever is there is of an interface that is gone: its link would have been adopted.
	if err := ignoreNoFile(os.Remove(path)); err != nil {
		return fmt.Errorf("pin a link: %w", err)
	}
	if err := l.Pin(path); err != nil {
		return fmt.Errorf("pin a link: %w", err)
	}
	return nil
}

// unpin takes the pin of a link away; with the last descriptor the link goes too.
func (p *pins) unpin(kind string, ifindex int) error {
	if p == nil {
		return nil
	}
	return ignoreNoFile(os.Remove(p.path(kind + strconv.Itoa(ifindex))))
}

// close gives the directory back, with what is in it if keep is set.
func (p *pins) close(keep bool) error {
	if p == nil {
		return nil
	}
	var err error
	if !keep {
		err = os.RemoveAll(p.dir)
	}
	return errors.Join(err, p.lock.Close())
}

func ignoreNoFile(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
