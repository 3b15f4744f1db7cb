package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// envKeeper tells a re-executed program that it is the keeper of the engine whose directory it names.
const envKeeper = "WAGGLE_SWARM_KEEPER"

// keeper is a process that removes an engine's directory and control groups when the engine and the process that
// started it are gone, however that came: a test that panics, times out or is killed runs no cleanup.
type keeper struct {
	cmd    *exec.Cmd
	life   io.Closer // the keeper acts when this is closed, by us or by our end
	stderr bytes.Buffer
}

func startKeeper(dir string) (*keeper, error) {
	k := &keeper{cmd: exec.Command("/proc/self/exe")}
	k.cmd.Env = append(os.Environ(), envKeeper+"="+dir)
	k.cmd.Stderr = &k.stderr
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // signals to the test's group are not for it
	life, err := k.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	k.life = life
	if err := k.cmd.Start(); err != nil {
		return nil, errors.Join(err, life.Close())
	}
	return k, nil
}

// release lets the keeper act and waits until it has. The engine is dead.
func (k *keeper) release() error {
	_ = k.life.Close()
	if err := k.cmd.Wait(); err != nil {
		return fmt.Errorf("remove what is left of the engine: %w: %s", err, bytes.TrimSpace(k.stderr.Bytes()))
	}
	return nil
}

// keep is the keeper's life.
func keep(dir string) error {
	_, err := io.Copy(io.Discard, os.Stdin)
	// The control groups first: they can be removed only when no process is left that could write into dir.
	return errors.Join(err, removeCgroups(cgroupName(dir)), untilGone(func() error { return os.RemoveAll(dir) }))
}

// cgroupName is the parent of the control groups of all containers of the engine.
func cgroupName(dir string) string { return "/" + filepath.Base(dir) }
