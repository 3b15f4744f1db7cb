package guest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Main is the whole of the init program. As modprobe it loads a module and returns; as the first process it
// does not return: it turns the machine off.
func Main() {
	if filepath.Base(os.Args[0]) == "modprobe" {
		if err := modprobe(os.Args[1:]); err != nil {
			complain(err)
			os.Exit(1)
		}
		return
	}
	if err := run(); err != nil {
		complain(err)
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		complain(fmt.Errorf("turn the machine off: %w", err))
	}
}

// complain writes to the kernel's log, which is on the console.
func complain(err error) {
	if log, openErr := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); openErr == nil {
		fmt.Fprintf(log, "<3>%s: %v\n", filepath.Base(os.Args[0]), err)
		log.Close()
	}
}

func run() error {
	if err := furnish(); err != nil {
		return err
	}
	port, err := openRaw(Report)
	if err != nil {
		return err
	}
	defer port.Close()
	text, err := os.ReadFile(PlanFile)
	if err != nil {
		return err
	}
	var plan Plan
	if err := json.Unmarshal(text, &plan); err != nil {
		return fmt.Errorf("read %s: %w", PlanFile, err)
	}
	return plan.run(json.NewEncoder(port))
}

// openRaw opens a serial port so that bytes leave it as they are written.
func openRaw(path string) (*os.File, error) {
	port, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	mode, err := unix.IoctlGetTermios(int(port.Fd()), unix.TCGETS)
	if err == nil {
		mode.Oflag &^= unix.OPOST
		mode.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG
		err = unix.IoctlSetTermios(int(port.Fd()), unix.TCSETS, mode)
	}
	if err != nil {
		port.Close()
		return nil, fmt.Errorf("set up %s: %w", path, err)
	}
	return port, nil
}

// run runs all jobs, one after the other, whether or not one fails.
func (p *Plan) run(report *json.Encoder) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("uname: %w", err)
	}
	if err := report.Encode(Event{Kernel: unix.ByteSliceToString(u.Release[:])}); err != nil {
		return err
	}
	for _, j := range p.Jobs {
		if err := j.run(report); err != nil {
			return fmt.Errorf("%s: %w", j.Name, err)
		}
	}
	return report.Encode(Event{Done: true})
}

// run runs the program to its end. It returns an error only if it cannot report.
func (j *Job) run(report *json.Encoder) error {
	began := time.Now()
	end := Event{Job: j.Name, Ended: true}
	cmd := exec.Command(j.Argv[0], j.Argv[1:]...)
	cmd.Dir = j.Dir
	cmd.Env = append(os.Environ(), j.Env...)
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = writer, writer
	err = cmd.Start()
	writer.Close()
	if err == nil {
		copied := make(chan error, 1)
		go func() { copied <- copyLines(j.Name, reader, report) }()
		end.Exit, end.Problem = reap(cmd.Process.Pid)
		err = <-copied
	}
	reader.Close()
	if err != nil {
		end.Exit, end.Problem = -1, err.Error()
	}
	end.Seconds = time.Since(began).Seconds()
	return report.Encode(end)
}

// reap waits for the process pid, and for orphans, which the first process inherits, on the way.
func reap(pid int) (exit int, problem string) {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR) || err == nil && got != pid:
		case err != nil:
			return -1, fmt.Sprintf("wait: %v", err)
		case status.Signaled():
			return -1, "signal: " + status.Signal().String()
		default:
			return status.ExitStatus(), ""
		}
	}
}

// copyLines reports what comes from r until all who can write there are gone.
func copyLines(job string, r io.Reader, report *json.Encoder) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			if err := report.Encode(Event{Job: job, Line: line}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
