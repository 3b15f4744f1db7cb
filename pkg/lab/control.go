package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// hello is the first object on an actor's control connection: its part.
type hello struct {
	Role     role
	Hostname string
	Files    map[string][]byte
	Exec     *execConfig `json:",omitempty"`
	DNS      *dnsConfig  `json:",omitempty"`
	Task     *taskConfig `json:",omitempty"`
}

// reply answers an object on the control connection.
type reply struct {
	Error  string          `json:",omitempty"`
	Result json.RawMessage `json:",omitempty"`
}

// controlPair makes the two ends of an actor's control connection: a Unix stream of JSON objects.
func controlPair() (*control, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make control socket: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "control")
	ours, err := controlFrom(os.NewFile(uintptr(fds[0]), "control"))
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// controlFrom takes ownership of f.
func controlFrom(f *os.File) (*control, error) {
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("open control socket: %w", err)
	}
	return &control{conn: conn, dec: json.NewDecoder(conn)}, nil
}

// control is one end of a control connection. Calls are serialised.
type control struct {
	mu   sync.Mutex
	conn net.Conn
	dec  *json.Decoder
}

func (c *control) close() { _ = c.conn.Close() }

// send writes an object and nothing behind it: the reader takes it for whole at its last brace, and a line feed that it leaves
// unread would turn the closing of its end into a reset.
func (c *control) send(object any) error {
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	_, err = c.conn.Write(text)
	return err
}

// greet sends the actor its part and waits until it is ready. An actor that executes a program closes the
// connection by that, which also means ready.
func (c *control) greet(ctx context.Context, h hello) error {
	err := c.roundTrip(ctx, h, nil)
	if h.Role == roleExec && errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// roundTrip sends one object and reads one reply, whose result it stores in result if that is not nil.
func (c *control) roundTrip(ctx context.Context, request, result any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop() // a connection whose deadline has passed is out of step and stays unusable
	if err := c.send(request); err != nil {
		return fmt.Errorf("write to actor: %w", err)
	}
	var answer reply
	if err := c.dec.Decode(&answer); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("read from actor: %w", err)
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	if result == nil || answer.Result == nil {
		return nil
	}
	return json.Unmarshal(answer.Result, result)
}

// serve is the actor's side: it answers each object with what handle makes of it, until the other end closes.
func (c *control) serve(handle func(json.RawMessage) (any, error)) error {
	for {
		var request json.RawMessage
		if err := c.dec.Decode(&request); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read control: %w", err)
		}
		if err := c.answer(handle(request)); err != nil {
			return err
		}
	}
}

func (c *control) answer(result any, err error) error {
	var r reply
	if err == nil && result != nil {
		r.Result, err = json.Marshal(result)
	}
	if err != nil {
		r = reply{Error: err.Error()}
	}
	if err := c.send(r); err != nil {
		return fmt.Errorf("write control: %w", err)
	}
	return nil
}
