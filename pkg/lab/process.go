package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Command is a program to run in a host of the lab.
type Command struct {
	// Argv is the program, by path or looked up on PATH, and its arguments.
	Argv []string
	// Env is added to the environment of this process.
	Env []string
	// Files are put in [FilesDir], which only this process sees, under the given base names.
	Files map[string][]byte
	// Output, if set, also gets stdout and stderr. See also [Process.Output].
	Output io.Writer
}

// FilesDir is where a process finds the Files of its Command.
const FilesDir = "/run/lab"

// Process is an actor of the lab. It is the first process of a PID namespace, as in a container: all its
// descendants die with it, and it must handle SIGTERM to be ended by it.
type Process struct {
	host   *Host
	cmd    *exec.Cmd
	output *tail

	control *control // closed once the actor has become a program of its own

	done chan struct{}
	err  error // valid when done is closed
}

// Start runs a program in the host, with a mount namespace in which /etc/resolv.conf names 127.0.0.11 and
// /run is empty but for Files, and with the host's name as hostname. It returns when the program has been
// executed. ctx bounds that only; the process runs until it ends, is stopped, or the lab is closed.
func (h *Host) Start(ctx context.Context, c Command) (*Process, error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("start: empty argv")
	}
	path, err := exec.LookPath(c.Argv[0])
	if err != nil {
		return nil, fmt.Errorf("start in %s: %w", h.name, err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("start in %s: %w", h.name, err)
	}
	p, err := h.spawn(ctx, hello{Role: roleExec, Files: c.Files, Exec: &execConfig{Path: path, Argv: c.Argv, Env: c.Env}}, c.Output)
	if err != nil {
		return nil, fmt.Errorf("start %s in %s: %w", filepath.Base(path), h.name, err)
	}
	p.control.close()
	return p, nil
}

// spawn starts an actor and waits until it is ready: listening, or executed.
func (h *Host) spawn(ctx context.Context, greeting hello, output io.Writer) (*Process, error) {
	ours, theirs, err := controlPair()
	if err != nil {
		return nil, err
	}
	p := &Process{host: h, control: ours, output: newTail(outputLimit, h.opts.Output, output), done: make(chan struct{})}
	p.cmd = actorCommand(greeting.Role, theirs, p.output)

	err = h.launch(p)
	_ = theirs.Close() // else the actor's end would never be seen to close
	if err != nil {
		ours.close()
		return nil, err
	}
	greeted := make(chan struct{})
	go p.wait(greeted)

	greeting.Hostname = h.name
	err = ours.greet(ctx, greeting)
	close(greeted)
	if err != nil {
		select { // an actor that died at once said why on stderr
		case <-p.done:
		case <-time.After(200 * time.Millisecond):
		}
		p.Kill()
		return nil, fmt.Errorf("%w%s", err, p.output.suffix())
	}
	return p, nil
}

// actorCommand executes this program again. Its own process group keeps a Ctrl-C at the terminal from it.
func actorCommand(r role, control *os.File, output io.Writer) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"waggle-lab-" + string(r)}
	cmd.Env = append(os.Environ(), EnvRole+"="+string(r))
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{control}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC,
		Pdeathsig:  unix.SIGKILL,
		Setpgid:    true,
	}
	return cmd
}

func (h *Host) launch(p *Process) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.ns.IsOpen() {
		return net.ErrClosed
	}
	if err := h.spawner.start(h.ns, p.cmd); err != nil {
		return err
	}
	h.processes[p] = struct{}{}
	return nil
}

// wait keeps the control connection open until it has been read: a short program ends before that.
func (p *Process) wait(greeted <-chan struct{}) {
	p.err = p.cmd.Wait()
	<-greeted
	p.control.close()
	p.host.mu.Lock()
	delete(p.host.processes, p)
	p.host.mu.Unlock()
	close(p.done)
}

// Pid is the process's number as the caller's PID namespace sees it.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended and all its output was read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err waits for the end of the process and says how it ended: nil for exit status 0, else an *exec.ExitError.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Output is the end of what the process wrote to stdout and stderr, at most 256 KiB.
func (p *Process) Output() string { return p.output.String() }

// Signal sends a signal. After the end of the process it returns os.ErrProcessDone.
func (p *Process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Stop sends SIGTERM, and SIGKILL when ctx ends, and waits for the end, of which it returns the error.
func (p *Process) Stop(ctx context.Context) error {
	_ = p.Signal(unix.SIGTERM)
	select {
	case <-p.done:
	case <-ctx.Done():
		p.Kill()
	}
	return p.Err()
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() {
	_ = p.Signal(unix.SIGKILL)
	<-p.done
}

const outputLimit = 256 << 10

// tail keeps the last bytes written to it, and passes all on.
type tail struct {
	mu    sync.Mutex
	buf   []byte
	limit int
	also  []io.Writer
}

func newTail(limit int, also ...io.Writer) *tail {
	t := &tail{limit: limit}
	for _, w := range also {
		if w != nil {
			t.also = append(t.also, w)
		}
	}
	return t
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.limit; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	for _, w := range t.also {
		_, _ = w.Write(p) // an observer that fails must not stall the actor
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}

// suffix is the output as the end of an error message.
func (t *tail) suffix() string {
	if s := t.String(); s != "" {
		return ": output: " + s
	}
	return ""
}
