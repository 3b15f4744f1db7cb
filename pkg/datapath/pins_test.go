package datapath

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waggle/pkg/lab/require"
)

// Another version's kernel path is removed as soon as ours is loaded, and said so: no program of it stays on an interface.
func TestPinsOfAnotherLayoutAreRemoved(t *testing.T) {
	require.Root(t)
	if thisMachine().older(6, 6) {
		t.Skip("tcx came with Linux 6.6; before, there is no link to remove")
	}
	top, opts := taskTopology(t, 1), Options{PinDir: pinDir(t)}
	dp := openIn(t, top.lb, opts)
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	held := top.talk(t)
	was := top.lb.attached(t, false)
	dp.abandon(t)
	other := filepath.Join(opts.PinDir, "layout-0123456789ab")
	if err := os.Rename(dp.pins.dir, other); err != nil {
		t.Fatal(err)
	}
	held.round(t)

	elsewhere := opts
	elsewhere.NetNS = top.client.path()
	if _, err := Open(t.Context(), elsewhere); err == nil || !strings.Contains(err.Error(), "of another network namespace") {
		t.Errorf("opened elsewhere: %v", err)
	}
	held.round(t)

	var log strings.Builder
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	dp = openIn(t, top.lb, opts)
	if now := top.lb.attached(t, false); now == was || now == "" {
		t.Errorf("on the interface are %q, before it was %q", now, was)
	}
	if _, err := os.Stat(other); !os.IsNotExist(err) {
		t.Errorf("the pins are there: %v", err)
	}
	if n := strings.Count(log.String(), "that of another version of waggle, with other maps, was removed; its connections end"); n != 1 || !strings.Contains(log.String(), other) {
		t.Errorf("it is said %d times:\n%s", n, log.String())
	}
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	top.talk(t).round(t)
	if n := dp.Counters().Total.Sessions; n != 1 {
		t.Errorf("%d sessions in the kernel", n)
	}
}

// Who can write to the directory could put maps there by which connections go wherever he likes: nothing is taken from it.
func TestPinsThatOthersCanWriteAreRefused(t *testing.T) {
	top, opts := newTopology(t, 1), Options{PinDir: pinDir(t)}
	opts.NetNS = top.lb.path()
	dp, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	layout := dp.pins.dir
	dp.abandon(t)
	other := filepath.Join(opts.PinDir, "layout-0123456789ab")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{opts.PinDir, layout, other} {
		for what, c := range map[string]struct {
			mode os.FileMode
			uid  int
		}{"mode 0777": {0o777, 0}, "a group": {0o770, 0}, "another user's": {0o700, 65534}} {
			if err := errors.Join(os.Chmod(dir, c.mode), os.Chown(dir, c.uid, 0)); err != nil {
				t.Fatal(err)
			}
			dp, err := Open(t.Context(), opts)
			var e *UnavailableError
			if !errors.As(err, &e) || !strings.Contains(e.Problem, "others can write to the directory for pins, "+dir) {
				t.Errorf("%s, %s: %v, %v", dir, what, dp, err)
			}
		}
		if err := errors.Join(os.Chmod(dir, 0o700), os.Chown(dir, 0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	openIn(t, top.lb, opts)
}

func TestPinsBelongToOneProcess(t *testing.T) {
	top, opts := newTopology(t, 1), Options{PinDir: pinDir(t)}
	openIn(t, top.lb, opts)
	opts.NetNS = top.lb.path()
	_, err := Open(t.Context(), opts)
	if err == nil || !strings.Contains(err.Error(), "another waggle") {
		t.Errorf("a second one: %v", err)
	}
	if _, err := Open(t.Context(), Options{PinDir: t.TempDir(), NetNS: opts.NetNS}); err == nil || !strings.Contains(err.Error(), "is not on a BPF file system") {
		t.Errorf("on another file system: %v", err)
	}
}

func TestPinsOfAnotherNamespaceAreRefused(t *testing.T) {
	require.Root(t)
	if thisMachine().older(6, 6) {
		t.Skip("tcx came with Linux 6.6; before, there is no link to tell by")
	}
	top, opts := taskTopology(t, 1), Options{PinDir: pinDir(t)}
	opts.NetNS = top.lb.path()
	dp, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	held := top.talk(t)
	dp.abandon(t)
	opts.NetNS = top.client.path()
	if _, err := Open(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "of another network namespace") {
		t.Errorf("opened elsewhere: %v", err)
	}
	held.round(t)
	openIn(t, top.lb, opts)
	held.round(t)
}

// A process that was killed while it made its pins has left half of them, and none of its work.
func TestIncompletePinsAreMadeAnew(t *testing.T) {
	top, opts := taskTopology(t, 1), Options{PinDir: pinDir(t)}
	opts.NetNS = top.lb.path()
	dp, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	dp.abandon(t)
	if err := os.Remove(dp.pins.path(lbMapWgFlows)); err != nil {
		t.Fatal(err)
	}
	dp = openIn(t, top.lb, opts)
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	top.talk(t).round(t)
	if n := dp.Counters().Total.Sessions; n != 1 {
		t.Errorf("%d sessions in the kernel", n)
	}
}
