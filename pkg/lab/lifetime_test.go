package lab_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/require"
)

// vanishTimeout bounds the kernel's removal of processes and namespaces, which it does in the background.
const vanishTimeout = time.Minute

// hostsOf lists all namespaces of a lab.
func hostsOf(l *lab.Lab) []*lab.Host {
	hosts := []*lab.Host{l.Client, l.Balancer.Host, l.Node, l.Overlay}
	for _, task := range l.Tasks("") {
		hosts = append(hosts, task.Host)
	}
	return hosts
}

// namespaceOf opens the namespace of a host. The caller closes it.
func namespaceOf(h *lab.Host) (ns netns.NsHandle, err error) {
	err = h.Do(func() error {
		ns, err = netns.Get()
		return err
	})
	return ns, err
}

// plant puts one end of a veth pair into each of hosts and the other into witness. The kernel removes that one
// when the host's namespace is gone, and only then.
func plant(hosts []*lab.Host, witness netns.NsHandle) error {
	for i, h := range hosts {
		err := h.Do(func() error {
			return netlink.LinkAdd(&netlink.Veth{
				LinkAttrs:     netlink.LinkAttrs{Name: "planted"},
				PeerName:      "seen" + strconv.Itoa(i),
				PeerNamespace: netlink.NsFd(witness),
			})
		})
		if err != nil {
			return fmt.Errorf("plant in %s: %w", h.Name(), err)
		}
	}
	return nil
}

// seen lists the planted ends.
func seen(t *testing.T, witness netns.NsHandle) []string {
	t.Helper()
	nl, err := netlink.NewHandleAt(witness, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	links, err := nl.LinkList()
	for errors.Is(err, netlink.ErrDumpInterrupted) { // interfaces came or went meanwhile
		links, err = nl.LinkList()
	}
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, link := range links {
		if name := link.Attrs().Name; strings.HasPrefix(name, "seen") {
			names = append(names, name)
		}
	}
	return names
}

// awaitVanished waits until the planted ends are gone.
func awaitVanished(t *testing.T, witness netns.NsHandle) {
	t.Helper()
	updates, done := make(chan netlink.LinkUpdate), make(chan struct{})
	if err := netlink.LinkSubscribeAt(witness, updates, done); err != nil {
		t.Fatal(err)
	}
	defer func() {
		close(done)
		for range updates { // the subscription ends by closing it
		}
	}()
	timeout := time.After(vanishTimeout)
	for {
		left := seen(t, witness)
		if len(left) == 0 {
			return
		}
		select {
		case <-updates:
		case <-timeout:
			t.Fatalf("%d namespaces are left: %v", len(left), left)
		}
	}
}

// newWitness makes a namespace to watch from, apart from any lab under test.
func newWitness(t *testing.T) netns.NsHandle {
	t.Helper()
	ns, err := namespaceOf(labtest.New(t, lab.Options{}).Client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	return ns
}

// processesIn lists the processes, of any PID namespace, that are in a network namespace of hosts.
func processesIn(hosts []*lab.Host) ([]int, error) {
	inside := make(map[string]bool)
	for _, h := range hosts {
		err := h.Do(func() error {
			id, err := os.Readlink("/proc/thread-self/ns/net")
			inside[id] = true
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return processesWith(inside)
}

func processesWith(networks map[string]bool) ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, dir := range dirs {
		if id, err := os.Readlink(dir + "/ns/net"); err == nil && networks[id] {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// family is a program with a descendant that has left its session: what a balancer may leave behind.
var family = lab.Command{Argv: []string{"/bin/sh", "-c", "setsid sleep 3600 & trap '' TERM; echo born; wait; wait; sleep 3600"}}

// populate starts families in a lab and returns all its processes, of which there are at least three families.
func populate(ctx context.Context, l *lab.Lab) ([]int, error) {
	for _, h := range []*lab.Host{l.Balancer.Host, l.Client, l.Overlay} {
		p, err := h.Start(ctx, family)
		if err != nil {
			return nil, err
		}
		for !strings.Contains(p.Output(), "born") {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("family in %s: %w", h.Name(), ctx.Err())
			}
		}
	}
	return processesIn(hostsOf(l))
}

func TestCloseLeavesNothing(t *testing.T) {
	require.Tool(t, "setsid")
	witness := newWitness(t)
	l := labtest.New(t, lab.Options{Tasks: 2})
	if err := plant(hostsOf(l), witness); err != nil {
		t.Fatal(err)
	}
	pids, err := populate(labtest.Context(t), l)
	if err != nil {
		t.Fatal(err)
	}
	awaitEnd := watch(t, pids, 3+3+3) // shells and sleeps, dns, two tasks
	if n := len(seen(t, witness)); n != len(hostsOf(l)) {
		t.Fatalf("%d planted ends are seen, want %d", n, len(hostsOf(l)))
	}
	l.Close()
	l.Close() // once more does no harm
	awaitEnd()
	awaitVanished(t, witness)
	if _, err := l.AddTask(labtest.Context(t), lab.TaskOptions{}); err == nil {
		t.Error("a task was added to a closed lab")
	}
	if err := l.Client.Do(func() error { return nil }); err == nil {
		t.Error("a host of a closed lab was entered")
	}
}

// watch demands that pids are at least this many, and returns a function that waits until all have ended.
func watch(t *testing.T, pids []int, atLeast int) (awaitEnd func()) {
	t.Helper()
	if len(pids) < atLeast {
		t.Fatalf("only %d processes: %v", len(pids), pids)
	}
	var fds []unix.PollFd
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatalf("watch process %d: %v", pid, err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	return func() {
		t.Helper()
		deadline := time.Now().Add(vanishTimeout)
		for i := range fds {
			for {
				n, err := unix.Poll(fds[i:i+1], int(max(0, time.Until(deadline).Milliseconds())))
				if err == unix.EINTR {
					continue
				}
				if n != 1 {
					t.Errorf("process %d lives on (%v)", pids[i], err)
					_ = unix.PidfdSendSignal(int(fds[i].Fd), unix.SIGKILL, nil, 0)
				}
				break
			}
		}
	}
}

func TestFailedNewLeavesNothing(t *testing.T) {
	require.Root(t)
	for name, o := range map[string]lab.Options{
		"unknown kind":  {Tasks: 2, Kind: "ftp"},
		"name too long": {Tasks: 1, Service: strings.Repeat("long", 40)}, // for a hostname
	} {
		t.Run(name, func(t *testing.T) {
			if l, err := lab.New(labtest.Context(t), o); err == nil {
				l.Close()
				t.Fatal("a lab was made")
			} else {
				t.Log(err)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if l, err := lab.New(ctx, lab.Options{Tasks: 1}); err == nil {
			l.Close()
			t.Fatal("a lab was made")
		}
	})
	threads, err := filepath.Glob("/proc/self/task/*/children") // listed by the thread that forked them
	if err != nil || len(threads) == 0 {
		t.Fatalf("list threads: %v", err)
	}
	for _, thread := range threads {
		if children, err := os.ReadFile(thread); err == nil && len(children) > 0 {
			t.Errorf("children are left: %s", children)
		}
	}
}

// owned is what the owner of a lab that is to be killed says about it.
type owned struct {
	Pids  []int
	Error string
}

// witnessFD is the witness's namespace in the owner: the first of exec.Cmd.ExtraFiles.
const witnessFD = 3

func buildOwnedLab() (report owned, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	l, err := lab.New(ctx, lab.Options{Tasks: 2})
	if err != nil {
		return report, err
	}
	if err := plant(hostsOf(l), witnessFD); err != nil {
		return report, err
	}
	report.Pids, err = populate(ctx, l)
	return report, err
}

func TestKilledOwnerLeavesNothing(t *testing.T) {
	require.Root(t)
	require.Tool(t, "setsid")
	witness := newWitness(t)
	owner := exec.CommandContext(t.Context(), "/proc/self/exe")
	owner.Env = append(os.Environ(), ownerEnv+"=1")
	owner.ExtraFiles = []*os.File{dup(t, int(witness))}
	owner.Stderr = t.Output()
	stdout, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	var report owned
	err = json.NewDecoder(stdout).Decode(&report)
	if err != nil || report.Error != "" {
		_ = owner.Process.Kill()
		t.Fatalf("%v %s (%v)", err, report.Error, owner.Wait())
	}
	awaitEnd := watch(t, report.Pids, 3+3+3)
	if n := len(seen(t, witness)); n != 6 {
		t.Errorf("%d planted ends are seen, want 6", n)
	}
	_ = owner.Process.Kill()
	_ = owner.Wait()
	awaitEnd()
	awaitVanished(t, witness)
}

func dup(t *testing.T, fd int) *os.File {
	t.Helper()
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(copied), "witness")
	t.Cleanup(func() { _ = f.Close() })
	return f
}
