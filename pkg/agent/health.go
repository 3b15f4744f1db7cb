package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// healthAnswer is what a live waggle says.
const healthAnswer = "alive"

// serveHealth answers `waggle healthcheck` on an abstract Unix socket, which lives in the network
// namespace and needs no writable file system. Each answer is made by turning every event loop once, so
// a loop that hangs is found.
func (a *Agent) serveHealth(ctx context.Context, l net.Listener) {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		// One at a time: a health check is rare, and whoever opens many waits for himself only.
		_ = conn.SetDeadline(time.Now().Add(healthPatience))
		if err := a.alive(); err != nil {
			fmt.Fprintln(conn, err)
		} else {
			fmt.Fprintln(conn, healthAnswer)
		}
		conn.Close()
	}
}

// healthPatience is how long a loop may take to answer before it counts as hanging.
const healthPatience = 1500 * time.Millisecond

func (a *Agent) alive() error {
	ctx, cancel := context.WithTimeout(context.Background(), healthPatience)
	defer cancel()
	return a.engine.Ping(ctx)
}

// AskHealth asks the waggle that listens on the abstract socket name whether its event loops turn.
func AskHealth(ctx context.Context, name string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", name)
	if err != nil {
		return fmt.Errorf("no waggle answers on %s: %w", name, err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if line = strings.TrimSpace(line); line != healthAnswer {
		return errors.New(line)
	}
	return nil
}
