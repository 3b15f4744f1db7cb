package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"waggle/pkg/proxy/h1"
)

const large = 10 << 20

// TestResponseBodies moves bodies of many sizes in each framing; the large ones are spliced.
func TestResponseBodies(t *testing.T) {
	framings := map[string]func(c net.Conn, body []byte){
		"length": func(c net.Conn, body []byte) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
			_, _ = c.Write(body)
		},
		"chunked": func(c net.Conn, body []byte) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			writeChunks(c, body)
		},
		"until close": func(c net.Conn, body []byte) {
			_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\n")
			_, _ = c.Write(body)
			c.Close()
		},
	}
	for name, write := range framings {
		for _, size := range []int{0, 1, 1000, 16383, 16384, 70000, large} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				body := pattern(size)
				w := start(t, []netip.AddrPort{listen(t, func(c net.Conn, r *bufio.Reader) {
					for {
						if _, err := readHead(r); err != nil {
							return
						}
						write(c, body)
					}
				})})
				c := w.dial()
				for range 2 {
					c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
					resp, got := c.response("GET")
					sameBytes(t, []byte(got), body)
					if resp.Close {
						return
					}
				}
			})
		}
	}
}

// writeChunks writes body in chunks of growing size, the last of which is worth splicing.
func writeChunks(c io.Writer, body []byte) {
	for n := 1; len(body) > 0; n = n*3 + 1 {
		n = min(n, len(body))
		fmt.Fprintf(c, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	_, _ = io.WriteString(c, "0\r\n\r\n")
}

func TestRequestBodies(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		for _, size := range []int{1, 1000, 16384, 70000, large} {
			t.Run(fmt.Sprint("chunked ", chunked, " ", size), func(t *testing.T) {
				body := pattern(size)
				w := start(t, []netip.AddrPort{echo(t)})
				c := w.dial()
				for range 2 {
					go func() {
						if chunked {
							_, _ = io.WriteString(c.TCPConn, "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
							writeChunks(c.TCPConn, body)
							return
						}
						fmt.Fprintf(c.TCPConn, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n", len(body))
						_, _ = c.TCPConn.Write(body)
					}()
					_, got := c.response("POST")
					sameBytes(t, []byte(got), body)
				}
			})
		}
	}
}

// echo answers each request with its body.
func echo(t *testing.T) netip.AddrPort {
	return listen(t, answering(func(c net.Conn, _ *http.Request, body []byte) bool {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
		_, err := c.Write(body)
		return err == nil
	}))
}

func TestChunksAreUnpackedForHTTP10Client(t *testing.T) {
	body := pattern(300000)
	w := start(t, []netip.AddrPort{listen(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		writeChunks(c, body)
	})})
	c := w.dial()
	c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	head, err := readHead(c.r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.ToLower(head), "chunked") || !strings.Contains(head, "connection: close\r\n") {
		t.Errorf("head %q", head)
	}
	sameBytes(t, []byte(c.rest()), body)
}

// TestSlowReaderBoundsMemory: a client that does not read stops the server, and all bytes come once it does.
func TestSlowReaderBoundsMemory(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		t.Run(fmt.Sprint("chunked ", chunked), func(t *testing.T) {
			body := pattern(64 << 20)
			sent := make(chan int, 1)
			w := start(t, []netip.AddrPort{listen(t, func(c net.Conn, r *bufio.Reader) {
				if _, err := readHead(r); err != nil {
					return
				}
				var dst io.Writer = c
				if chunked {
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
					cw := httputil.NewChunkedWriter(c)
					defer func() { cw.Close(); _, _ = io.WriteString(c, "\r\n") }()
					dst = cw
				} else {
					fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
				}
				total := 0
				for piece := range slices.Chunk(body, 100000) {
					n, err := dst.Write(piece)
					total += n
					if err != nil {
						break
					}
				}
				sent <- total
			})})
			c := w.dial()
			_ = c.SetReadBuffer(64 << 10)
			c.send("GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
			if _, err := c.r.Peek(1); err != nil {
				t.Fatal(err)
			}
			w.onLoop(func(wk *worker) {
				s := wk.sessions
				if n := len(s.client.in.data) + len(s.client.out.data) + len(s.link.in.data) + len(s.link.out.data); n > 4*wk.buffers.size {
					t.Errorf("the session holds %d bytes", n)
				}
			})
			_, got := c.response("GET")
			sameBytes(t, []byte(got), body)
			if n := receive(t, sent, "the server to have sent all"); n != len(body) {
				t.Errorf("the server sent %d bytes", n)
			}
		})
	}
}

func TestServerThatStopsHalfWay(t *testing.T) {
	tests := map[string]string{
		"length":  "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n32\r\nhello",
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			w := start(t, []netip.AddrPort{scripted(t, answer)})
			c := w.dial()
			c.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n")
			if got := c.rest(); !strings.HasSuffix(got, "hello") {
				t.Errorf("got %q, want all that the server sent", got)
			}
			if n := w.pool.Backend("be").Counters.Sum().ServerAborts; n != 1 {
				t.Errorf("%d server aborts, want 1", n)
			}
		})
	}
}

func TestMalformedChunkOfRequestIs400(t *testing.T) {
	w := start(t, []netip.AddrPort{echo(t)})
	c := w.dial()
	c.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n")
	if got := c.rest(); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("got %q", got)
	}
}

// Whoever finds the end of a stream says that it has moved, or nobody looks at what has become of the exchange: of an end that was read while
// the server was waited for, and that the kernel reports again, and of one behind the last byte inside the pipe.
func TestEndOfASplicedStreamIsTold(t *testing.T) {
	for name, piped := range map[string]bool{"read before": false, "behind a pipe that is empty": true} {
		t.Run(name, func(t *testing.T) {
			w := &worker{pipes: pipes{max: 1}}
			src, dst := conn{w: w, eof: true, canRead: true}, conn{w: w, canWrite: true}
			var s stream
			s.begin(h1.BodyLength, 1<<20)
			if piped {
				s.pipe = w.pipes.get()
			}
			defer func() {
				s.drop(w)
				w.pipes.close()
			}()
			at := 0
			if st := s.move(&src, &dst, &at); st != moved || s.open || !s.cut {
				t.Errorf("moved: %v, open: %v, cut: %v", st == moved, s.open, s.cut)
			}
		})
	}
}
