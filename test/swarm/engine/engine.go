package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// startTimeout bounds how long dockerd may take until it answers. It takes 2 s on two idle cores.
const startTimeout = 60 * time.Second

// Engine is a running Docker Engine. Its methods may be called from several goroutines.
type Engine struct {
	dir    string // socket, log, data root, the client's configuration
	keeper *keeper
	net    *Network
	node   *node
	alone  bool // the network is this engine's, and goes with it

	cmd    *exec.Cmd
	exited chan struct{} // closed when the engine and all that it started are dead
}

// Start starts an engine on a network of its own and waits until it answers. Close it.
func Start(ctx context.Context) (*Engine, error) {
	n, err := NewNetwork()
	if err != nil {
		return nil, err
	}
	e, err := n.Start(ctx)
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	e.alone = true
	return e, nil
}

// Start starts an engine on a node of its own and waits until it answers. Close it before the network.
func (n *Network) Start(ctx context.Context) (_ *Engine, err error) {
	dir, err := os.MkdirTemp("", "wg-swarm-")
	if err != nil {
		return nil, fmt.Errorf("make directory of engine: %w", err)
	}
	e := &Engine{dir: dir, net: n, exited: make(chan struct{})}
	if e.keeper, err = startKeeper(dir); err != nil {
		return nil, fmt.Errorf("start keeper of engine: %w", errors.Join(err, os.Remove(dir)))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if e.node, err = n.addNode(); err != nil {
		return nil, err
	}
	if err := e.spawn(); err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := e.awaitAnswer(ctx); err != nil {
		return nil, fmt.Errorf("%w; the end of its log:\n%s", err, e.LogTail())
	}
	return e, nil
}

// spawn starts dockerd on a thread that lives until dockerd is dead: the kernel sends the parent-death signal
// when the thread that forked exits (prctl(2), PR_SET_PDEATHSIG).
func (e *Engine) spawn() error {
	log, err := os.Create(e.logPath())
	if err != nil {
		return err
	}
	defer log.Close()
	e.cmd = exec.Command("/proc/self/exe")
	e.cmd.Env = append(os.Environ(), envActor+"="+e.dir, envNode+"="+e.node.name)
	e.cmd.Stdout, e.cmd.Stderr = log, log
	e.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true, // a terminal's Ctrl-C is for the test, which then closes the engine
	}
	started := make(chan error, 1)
	go func() {
		err := e.node.inside(func() error {
			err := e.cmd.Start()
			started <- err
			if err == nil {
				_ = e.cmd.Wait() // how it ended is in its log
				close(e.exited)
			}
			return nil
		})
		if err != nil {
			started <- err
		}
	}()
	if err := <-started; err != nil {
		e.cmd = nil
		return err
	}
	return nil
}

func (e *Engine) awaitAnswer(ctx context.Context) error {
	for {
		if _, err := e.Docker(ctx, "version"); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("await engine: %w", ctx.Err())
		case <-e.exited:
			return errors.New("await engine: it ended")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Close kills the engine with everything that it started, and removes what is left of it. It returns an error
// if something remains. It may be called more than once.
func (e *Engine) Close() error {
	if e.cmd != nil {
		_ = e.cmd.Process.Kill()
		<-e.exited
	}
	var errs []error
	if e.node != nil && e.node.ns.IsOpen() {
		errs = append(errs, e.node.ns.Close())
	}
	if e.alone {
		errs = append(errs, e.net.Close())
		e.alone = false
	}
	if e.keeper != nil {
		errs = append(errs, e.keeper.release())
		e.keeper = nil
	}
	return errors.Join(errs...)
}

// Env is what makes the docker client, and programs that call it, use this engine.
func (e *Engine) Env() []string {
	return append(os.Environ(),
		"DOCKER_HOST=unix://"+e.socketPath(),
		"DOCKER_CONFIG="+filepath.Join(e.dir, "client"), // not the user's credentials and contexts
		"DOCKER_CONTEXT=",
		"DOCKER_BUILDKIT=0", // the builder that is part of every engine
	)
}

// Docker runs the docker client and returns its standard output.
func (e *Engine) Docker(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = e.Env()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

// OnNode runs cmd to its end as a person on the node would, with the engine's Env added to cmd.Env.
func (e *Engine) OnNode(cmd *exec.Cmd) error {
	cmd.Env = append(e.Env(), cmd.Env...)
	return e.node.inside(cmd.Run)
}

// OnDisk is where a file of the engine's own mounts is found, such as one under /sys/fs/bpf.
func (e *Engine) OnDisk(path string) string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", e.cmd.Process.Pid), path)
}

// LogTail is the end of the engine's log.
func (e *Engine) LogTail() string {
	const size = 4000
	log, err := os.ReadFile(e.logPath())
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-size):])
}

// MkdirTemp makes a directory that containers may mount, and that goes with the engine.
func (e *Engine) MkdirTemp(pattern string) (string, error) { return os.MkdirTemp(e.dir, pattern) }

func (e *Engine) logPath() string    { return filepath.Join(e.dir, "log") }
func (e *Engine) socketPath() string { return filepath.Join(e.dir, "engine.sock") }
