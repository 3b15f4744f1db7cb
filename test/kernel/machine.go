package kernel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"waggle/test/kernel/guest"
)

// machine is a virtual machine that boots a kernel with an initial file system, and ends by itself.
type machine struct {
	qemu    string
	image   image
	initrd  string
	console string // file that gets the kernel's messages
	by      accelerator
	memory  int // MiB
}

// accelerator is what runs a machine's instructions.
type accelerator struct {
	name string
	fast bool // about as fast as this machine
	args []string
}

var kvm = accelerator{"by KVM", true, []string{"-accel", "kvm", "-cpu", "host", "-smp", "2"}}

// emulation has no clock but the machine's own progress: each instruction takes a nanosecond, and a machine with nothing to do goes
// on to its next timer at once. So limits of seconds mean work, as on a fast machine, and hold however slow this one is, or if it
// stands still for a while.
var emulation = accelerator{"emulated", false, []string{
	"-accel", "tcg,thread=single", "-cpu", "max,la57=off", "-icount", "shift=0,sleep=off", "-rtc", "clock=vm", "-smp", "1,maxcpus=2",
}}

// bootLimit is what a machine may take from its start to its end with nothing to do; it takes KVM two or three seconds.
const bootLimit = 30 * time.Second

// tryKVM tells why KVM does not run this machine, if it doesn't: there may be none, or, in another virtual machine, one that opens
// and then hangs. The initial file system must have an empty plan.
func (m machine) tryKVM() error {
	dev, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	dev.Close()
	m.by = kvm
	return m.boots(bootLimit)
}

// boots has the machine do what it has to within limit.
func (m *machine) boots(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return m.run(ctx, func(guest.Event) {})
}

func (m *machine) args() []string {
	return append(slices.Clone(m.by.args),
		"-m", fmt.Sprint(m.memory),
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-kernel", m.image.vmlinuz, "-initrd", m.initrd,
		// What guards the kernel against its users is costly to emulate, and nobody attacks this one.
		"-append", "console=ttyS0 loglevel=5 panic=-1 mitigations=off init_on_alloc=0",
		"-serial", "file:"+m.console, // ttyS0
		"-serial", "stdio", // ttyS1
	)
}

// run boots the machine and calls event for each line of its report. It returns when the machine is off; when ctx ends
// before, it is turned off. An error means that the report is not complete.
func (m *machine) run(ctx context.Context, event func(guest.Event)) error {
	// The machine dies with the thread that started it, so also if this process is killed.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, m.qemu, m.args()...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	report, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", m.qemu, err)
	}
	done, err := readReport(report, event)
	if err != nil {
		_ = cmd.Cancel() // it would wait for a reader
	}
	if waited := cmd.Wait(); ctx.Err() != nil {
		return fmt.Errorf("the machine was still running: %w", context.Cause(ctx))
	} else if err = errors.Join(err, waited); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(m.qemu), err, bytes.TrimSpace(complaints.Bytes()))
	}
	if !done {
		return errors.New("the machine turned itself off before it was done")
	}
	return nil
}

// readReport reads events up to the end of r. done tells whether the last one said so.
func readReport(r io.Reader, event func(guest.Event)) (done bool, err error) {
	for lines := json.NewDecoder(r); ; {
		var e guest.Event
		if err := lines.Decode(&e); errors.Is(err, io.EOF) {
			return done, nil
		} else if err != nil {
			return false, fmt.Errorf("read the report: %w", err)
		}
		if done = e.Done; !done {
			event(e)
		}
	}
}
