package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"waggle/pkg/lab/tcpserver"
	"waggle/pkg/lab/webserver"
)

// taskConfig is the part of a task's actor.
type taskConfig struct {
	Name string // what the server calls itself; also the hostname
	Kind Kind
	Port int
}

// taskServer is what webserver and tcpserver have in common.
type taskServer interface {
	// Serve accepts from the listener until Shutdown.
	Serve(net.Listener) error
	// Shutdown closes the listener and waits until no connection is in the middle of something.
	Shutdown(context.Context) error
}

// taskActor is a task's server, in the task's namespace.
type taskActor struct{ server taskServer }

func startTaskServer(c *taskConfig) (server, error) {
	s, err := newTaskServer(c)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp4", ":"+strconv.Itoa(c.Port))
	if err != nil {
		return nil, err
	}
	go func() { _ = s.Serve(ln) }() // ends with shutdown, or with the process
	return &taskActor{server: s}, nil
}

func newTaskServer(c *taskConfig) (taskServer, error) {
	switch c.Kind {
	case HTTP11:
		return webserver.New(c.Name, webserver.HTTP11), nil
	case HTTP10:
		return webserver.New(c.Name, webserver.HTTP10), nil
	case TCP:
		return tcpserver.New(c.Name, tcpserver.Command), nil
	case TCPGreet:
		return tcpserver.New(c.Name, tcpserver.Greet), nil
	}
	return nil, fmt.Errorf("unknown kind of task %q", c.Kind)
}

func (a *taskActor) handle(json.RawMessage) (any, error) {
	return nil, errors.New("a task takes no requests")
}

// shutdown lets connections end: the parent sends SIGKILL when the task's grace is over.
func (a *taskActor) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	_ = a.server.Shutdown(ctx)
}
