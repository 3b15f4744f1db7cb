package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// crowdKind is what the connections of a crowd are at while their memory is measured.
type crowdKind struct {
	name, title string
	most        int  // connections at most; 0: as many as asked for
	tls         bool // to securePort
	// join does with a connection what has to come before; it stays open.
	join func(conn net.Conn, host string) error
}

func crowdKinds() []crowdKind {
	const readers = 1000 // each fills the kernel's buffers of two connections
	return []crowdKind{
		{name: "idle", title: "HTTP/1.1, idle after a request", join: once},
		{name: "slow-head", title: "HTTP/1.1, half of a request's head", join: beginHead},
		{name: "slow-reader", title: "HTTP/1.1, reads nothing of 10 MB", most: readers, join: askAndWait},
		{name: "tls", title: "HTTP/1.1 over TLS 1.3, idle after a request", tls: true, join: onceSecure},
		{name: "h2", title: "HTTP/2 in clear text, idle after a request", join: onceH2},
		{name: "h2-stream", title: "HTTP/2 in clear text, one stream with a body of 64 kB, window of 0", join: stopStream},
	}
}

// gather opens n connections and has each of them join. The caller closes what it gets, also beside an error.
func (k crowdKind) gather(ctx context.Context, st *stage, n int) ([]net.Conn, error) {
	target := st.targets[0]
	if k.tls {
		target = secure(target)
	}
	var mu sync.Mutex // guards the next two
	var open []net.Conn
	var failed error
	enter := func() error {
		conn, err := st.lab.Client.DialContext(ctx, "tcp4", target.String())
		if err != nil {
			return err
		}
		mu.Lock()
		open = append(open, conn)
		mu.Unlock()
		return errors.Join(conn.SetDeadline(time.Now().Add(time.Minute)), k.join(conn, target.String()), conn.SetDeadline(time.Time{}))
	}
	var joining sync.WaitGroup
	for first := range crowdHands {
		joining.Go(func() {
			for i := first; i < n; i += crowdHands {
				if err := enter(); err != nil {
					mu.Lock()
					failed = errors.Join(failed, fmt.Errorf("connection %d: %w", i+1, err))
					mu.Unlock()
					return
				}
			}
		})
	}
	joining.Wait()
	return open, failed
}

// crowdHands is how many connections are opened at a time.
const crowdHands = 8

// beginHead sends all of a head but its end.
func beginHead(conn net.Conn, host string) error {
	_, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: slow", host)
	return err
}

// askAndWait asks for a large body and reads nothing.
func askAndWait(conn net.Conn, host string) error {
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		return err
	}
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", bigPath, host)
	return err
}

func onceSecure(conn net.Conn, host string) error {
	//nolint:gosec // the certificate is made for this run, and nobody knows who signed it
	return once(tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}), host)
}

// onceH2 makes a request over HTTP/2 and reads the response to its end.
func onceH2(conn net.Conn, host string) error {
	return speakH2(conn, host, "/", func(f http2.Frame) bool {
		data, ok := f.(*http2.DataFrame)
		return ok && data.StreamEnded()
	})
}

// stopStream asks for a body and lets none of it come.
func stopStream(conn net.Conn, host string) error {
	return speakH2(conn, host, mediumPath, func(f http2.Frame) bool {
		_, ok := f.(*http2.HeadersFrame)
		return ok
	}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
}

// speakH2 asks by the first stream of a connection, and reads until a frame of that is the last one wanted.
func speakH2(conn net.Conn, host, path string, last func(http2.Frame) bool, settings ...http2.Setting) error {
	var said, block bytes.Buffer
	said.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&said, conn)
	fields := hpack.NewEncoder(&block)
	var err error
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", host}, {":path", path}} {
		err = errors.Join(err, fields.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
	}
	err = errors.Join(err, framer.WriteSettings(settings...), framer.WriteSettingsAck(),
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true}))
	if err != nil {
		return err
	}
	if _, err := io.Copy(conn, &said); err != nil {
		return err
	}
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			return err
		}
		switch f.(type) {
		case *http2.GoAwayFrame, *http2.RSTStreamFrame:
			return fmt.Errorf("got %v", f)
		}
		if f.Header().StreamID == 1 && last(f) {
			return nil
		}
	}
}
