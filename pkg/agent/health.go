package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// healthAnswer is what a live waggle says.
const healthAnswer = "alive"

// serveHealth answers `waggle healthcheck` on an abstract Unix socket, which lives in the network
// namespace and needs no writable file system. Each answer is made by turning every event loop once, so
// a loop that hangs is found.
func (a *Agent) serveHealth(ctx context.Context, l net.Listener) {
	acceptEach(ctx, l, func(conn net.Conn) {
		_ = conn.SetDeadline(time.Now().Add(healthPatience))
		if err := a.alive(); err != nil {
			fmt.Fprintln(conn, err)
		} else {
			fmt.Fprintln(conn, healthAnswer)
		}
	})
}

// acceptEach serves the connections of a listener until ctx ends, one at a time: a health check is rare, and whoever opens
// many waits for himself only.
func acceptEach(ctx context.Context, l net.Listener, serve func(net.Conn)) {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for ctx.Err() == nil {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // for want of file descriptors or memory, perhaps
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		serve(conn)
		conn.Close()
	}
}

// acceptPause is the time between two tries to accept a connection.
const acceptPause = 100 * time.Millisecond

// serveReadiness answers /healthz, which says whether the event loops turn, and /readyz, which also says no from the moment
// on that a soft stop is asked for, while connections are still taken: who sends clients here has `grace` to look elsewhere.
// Neither says anything about backends. Once the socket is yielded to another process, which serves, what is still asked here ends well.
func (a *Agent) serveReadiness(ctx, yielded context.Context, l net.Listener) {
	answer := func(w http.ResponseWriter, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, a.alive()) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if a.stopping.Load() && yielded.Err() == nil {
			answer(w, errors.New("stopping"))
			return
		}
		answer(w, a.alive())
	})
	server := &http.Server{Handler: mux, ReadTimeout: healthPatience, WriteTimeout: 2 * healthPatience, IdleTimeout: healthPatience, MaxHeaderBytes: 4096}
	stop := context.AfterFunc(yielded, func() { l.Close() })
	err := server.Serve(l)
	if stop() {
		a.log.Error("/healthz and /readyz are not answered any more", "err", err)
		return
	}
	// Who was accepted last is known to the server only now that it has returned: closed before, it would not wait for that one.
	grace, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	_ = server.Shutdown(grace)
	server.Close()
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
	conn, err := dialOwn(ctx, name)
	if err != nil {
		return err
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
