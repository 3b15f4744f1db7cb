package drive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"waggle/test/swarm/engine"
)

// exchangeTimeout bounds one exchange, its connection included. Whoever waits longer has gone away.
const exchangeTimeout = 5 * time.Second

// bodyLimit bounds the answer to one request, in bytes.
const bodyLimit = 1 << 16

// dialer connects as a client does.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// exchanger sends one request after the other and reads the answers. One goroutine uses it. Nothing is repeated:
// what a browser would hide from its user is counted here.
type exchanger struct {
	dial     dialer
	address  string
	request  string // sent as it is
	keep     bool   // use the connection again
	exchange func(r *bufio.Reader) (host string, again bool, err error)

	conn net.Conn
	r    *bufio.Reader
}

func newHTTP(dial dialer, address, path string, keep bool) *exchanger {
	request := "GET " + path + " HTTP/1.1\r\nHost: web\r\n"
	if !keep {
		request += "Connection: close\r\n"
	}
	return &exchanger{dial: dial, address: address, request: request + "\r\n", keep: keep, exchange: readResponse}
}

func newLine(dial dialer, address string, keep bool) *exchanger {
	return &exchanger{dial: dial, address: address, request: "who\n", keep: keep, exchange: readLine}
}

// once does one exchange, and returns the name of the task that answered.
func (x *exchanger) once(ctx context.Context) (host string, err error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	if x.conn == nil {
		conn, err := x.dial(ctx, "tcp", x.address)
		if err != nil {
			return "", &exchangeError{"connect", err}
		}
		x.conn, x.r = conn, bufio.NewReader(conn)
	}
	deadline, _ := ctx.Deadline()
	again := false
	_ = x.conn.SetDeadline(deadline) // fails only if the connection is closed, and then writing fails too
	if _, err = io.WriteString(x.conn, x.request); err != nil {
		err = &exchangeError{"send", err}
	} else {
		host, again, err = x.exchange(x.r)
	}
	if err != nil || !again || !x.keep {
		x.close()
	}
	return host, err
}

func (x *exchanger) close() {
	if x.conn != nil {
		_ = x.conn.Close()
		x.conn = nil
	}
}

const greeting = "hostname: " // with which every task begins its answer

func readResponse(r *bufio.Reader) (host string, again bool, err error) {
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return "", false, &exchangeError{"answer", err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit))
	if err != nil {
		return "", false, &exchangeError{"body", err}
	}
	if resp.StatusCode != http.StatusOK {
		return "", !resp.Close, statusError(resp.StatusCode)
	}
	host, err = named(body)
	return host, !resp.Close, err
}

func readLine(r *bufio.Reader) (host string, again bool, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return "", false, &exchangeError{"answer", err}
	}
	host, err = named(bytes.TrimSuffix(line, []byte("\n")))
	return host, true, err
}

// named is the task's name in its answer.
func named(answer []byte) (host string, err error) {
	host, ok := strings.CutPrefix(string(answer), greeting)
	if !ok {
		return "", foreignError(answer)
	}
	return host, nil
}

// AskLine connects to a published port of an engine's node, asks a task for its name, and closes.
func AskLine(ctx context.Context, e *engine.Engine, port uint16) (name string, err error) {
	x := newLine(e.DialContext, netip.AddrPortFrom(e.NodeAddr(), port).String(), false)
	return x.once(ctx)
}
