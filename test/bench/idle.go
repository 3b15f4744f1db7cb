package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
)

// openIdle opens n connections, makes one request over each, and leaves them open. The caller closes what it
// gets, also beside an error.
func openIdle(ctx context.Context, st *stage, n int) (open []net.Conn, err error) {
	for i := range n {
		target := st.targets[i%len(st.targets)].String()
		conn, err := st.lab.Client.DialContext(ctx, "tcp4", target)
		if err != nil {
			return open, fmt.Errorf("idle connection %d: %w", i+1, err)
		}
		open = append(open, conn)
		if err := once(conn, target); err != nil {
			return open, fmt.Errorf("idle connection %d: %w", i+1, err)
		}
	}
	return open, nil
}

// once makes a request and reads the response to its end.
func once(conn net.Conn, host string) error {
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func closeAll(open []net.Conn) {
	for _, conn := range open {
		_ = conn.Close()
	}
}
