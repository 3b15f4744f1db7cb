package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"
)

// EnvRole names the variable that tells a re-executed program that it is an actor of a lab.
const EnvRole = "WAGGLE_LAB_ROLE"

// role is what an actor does.
type role string

const (
	roleExec role = "exec" // becomes another program
	roleDNS  role = "dns"  // Docker's DNS server
	roleTask role = "task" // a task's server
)

// controlFD is the actor's end of the control connection: the first of exec.Cmd.ExtraFiles.
const controlFD = 3

type execConfig struct {
	Path string
	Argv []string
	Env  []string
}

// Main plays the actor's part and exits, if this process is an actor of a lab; else it returns at once. A
// program that uses the lab calls it first in main, a test first in TestMain.
func Main() {
	if os.Getenv(EnvRole) == "" {
		return
	}
	if err := play(); err != nil {
		fmt.Fprintf(os.Stderr, "lab actor %s: %v\n", os.Getenv(EnvRole), err)
		os.Exit(1)
	}
	os.Exit(0)
}

// play reads the actor's part, builds its surroundings, and plays it until the parent closes the control
// connection or SIGTERM.
func play() error {
	_ = os.Unsetenv(EnvRole)
	unix.CloseOnExec(controlFD)
	ctl, err := controlFrom(os.NewFile(controlFD, "control"))
	if err != nil {
		return err
	}
	var part hello
	if err := ctl.dec.Decode(&part); err != nil {
		return fmt.Errorf("read part: %w", err)
	}
	if err := settle(part); err != nil {
		return errors.Join(err, ctl.answer(nil, err))
	}
	switch part.Role {
	case roleExec:
		err := execute(part.Exec)
		return errors.Join(err, ctl.answer(nil, err))
	case roleDNS:
		return playServer(ctl, func() (server, error) { return startDNSServer(part.DNS) })
	case roleTask:
		return playServer(ctl, func() (server, error) { return startTaskServer(part.Task) })
	}
	return fmt.Errorf("unknown role %q", part.Role)
}

// execute becomes the program. The control connection closes with that.
func execute(c *execConfig) error {
	env := append(os.Environ(), c.Env...)
	if err := unix.Exec(c.Path, c.Argv, env); err != nil {
		return fmt.Errorf("execute %s: %w", strings.Join(c.Argv, " "), err)
	}
	return nil
}

// server is an actor that listens.
type server interface {
	// handle does what a request on the control connection says.
	handle(json.RawMessage) (any, error)
	// shutdown stops listening, lets what is under way end, and returns.
	shutdown()
}

func playServer(ctl *control, start func() (server, error)) error {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, unix.SIGTERM, unix.SIGINT)

	s, err := start()
	if err := errors.Join(err, ctl.answer(nil, err)); err != nil {
		return err
	}
	orphaned := make(chan error, 1)
	go func() { orphaned <- ctl.serve(s.handle) }()
	select {
	case <-terminated:
		s.shutdown()
		return nil
	case err := <-orphaned:
		return err
	}
}
