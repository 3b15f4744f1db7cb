package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"waggle/pkg/config"
	"waggle/pkg/proxy/h2"
)

// Nothing that a client says hangs or breaks the engine, or leaves anything behind.
func FuzzH2Connection(f *testing.F) {
	block := func(method string) []byte {
		return h2.AppendField(h2.AppendField(h2.AppendField(h2.AppendField(nil, []byte(":method"), []byte(method)), []byte(":scheme"), []byte("http")),
			[]byte(":authority"), []byte("a")), []byte(":path"), []byte("/x"))
	}
	frame := func(kind h2.Type, flags h2.Flags, stream uint32, payload []byte) []byte {
		return append(h2.Frame{Length: len(payload), Type: kind, Flags: flags, Stream: stream}.Append(nil), payload...)
	}
	settings := frame(h2.Settings, 0, 0, binary.BigEndian.AppendUint32([]byte{0, 4}, 100))
	get, post := block("GET"), block("POST")
	for _, seed := range [][][]byte{
		{frame(h2.Headers, h2.EndHeaders|h2.EndStream, 1, get), frame(h2.WindowUpdate, 0, 1, []byte{0, 0, 1, 0})},
		{frame(h2.Headers, h2.EndHeaders, 1, post), frame(h2.Data, h2.EndStream, 1, []byte("hello"))},
		{frame(h2.Headers, h2.Padded, 1, append([]byte{1}, post...)), frame(h2.Continuation, h2.EndHeaders, 1, nil), frame(h2.Data, h2.Padded, 1, []byte("\x01xy")), frame(h2.RSTStream, 0, 1, []byte{0, 0, 0, 8})},
		{frame(h2.Headers, h2.EndHeaders, 1, post), frame(h2.Data, 0, 1, []byte("hello")), frame(h2.Headers, h2.EndHeaders|h2.EndStream, 1, []byte{0, 1, 'x', 1, 'y'}), frame(h2.Ping, 0, 0, make([]byte, 8))},
		{frame(h2.GoAway, 0, 0, make([]byte, 8)), frame(h2.Priority, 0, 3, make([]byte, 5)), frame(0xee, 0, 0, []byte("x"))},
	} {
		f.Add(bytes.Join(append([][]byte{settings}, seed...), nil))
	}
	w := lasting(f)
	f.Fuzz(func(t *testing.T, said []byte) {
		c, err := net.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		go func() {
			_, _ = c.Write(append([]byte(http2.ClientPreface), said...))
			_ = c.(*net.TCPConn).CloseWrite()
		}()
		if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "broken") {
			t.Fatalf("%x: %v", said, err)
		}
	})
}

// lasting is a world for all runs of a fuzz target.
func lasting(f *testing.F) *world {
	fe := &config.Proxy{Kind: config.Frontend, Name: "fe", HTTP: true, DefaultBackend: "be", Binds: []config.Bind{{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Proto: "h2"}}}
	be := &config.Proxy{Kind: config.Backend, Name: "be", HTTP: true, Retries: 1, RetryOn: config.RetryConnFailure}
	fe.Timeouts = config.Timeouts{Client: time.Second}
	be.Timeouts = config.Timeouts{Connect: time.Second, Server: time.Second}
	addr := listen(f, func(c net.Conn, r *bufio.Reader) {
		_ = c.SetDeadline(time.Time{}) // it may wait for as long as the fuzzer likes
		for {
			if _, err := readHead(r); err != nil {
				return
			}
			if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
				return
			}
		}
	})
	be.Servers = append(be.Servers, config.Server{Name: "s", Addr: addr, Weight: 1})
	setup := Setup{Config: &config.Config{Proxies: []*config.Proxy{fe, be}}, Loops: 1}
	setup.Pool = buildPool(setup.Config, setup.Loops)
	engine, err := New(setup)
	if err != nil {
		f.Fatal(err)
	}
	if err := engine.Listen(); err != nil {
		f.Fatal(err)
	}
	engine.Start()
	f.Cleanup(func() { _ = engine.Close(context.Background()) })
	return &world{engine: engine, pool: setup.Pool, addr: engine.Addrs()[0].String()}
}
