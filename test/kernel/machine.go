package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"waggle/test/kernel/guest"
)

// machine is a virtual machine that boots a kernel with an initial file system, and ends by itself.
type machine struct {
	qemu    string
	image   image
	initrd  string
	console string // file that gets the kernel's messages
	cpus    int
	memory  int // MiB
}

func (m *machine) args() []string {
	return []string{
		// Without KVM: nested in other virtual machines it may open and then hang, and this takes half a minute anyway.
		"-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", fmt.Sprint(m.cpus), "-m", fmt.Sprint(m.memory),
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-kernel", m.image.vmlinuz, "-initrd", m.initrd,
		// What guards the kernel against its users is costly to emulate, and nobody attacks this one.
		"-append", "console=ttyS0 loglevel=5 panic=-1 mitigations=off init_on_alloc=0",
		"-serial", "file:" + m.console, // ttyS0
		"-serial", "stdio", // ttyS1
	}
}

// run boots the machine and calls event for each line of its report. It returns when the machine is off; when ctx ends
// before, it is turned off. An error means that the report is not complete.
func (m *machine) run(ctx context.Context, event func(guest.Event)) error {
	// The machine dies with the thread that started it, so also if this process is killed.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, m.qemu, m.args()...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	cmd.Stderr = os.Stderr
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
		return err
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
