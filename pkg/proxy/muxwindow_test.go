package proxy

import (
	"fmt"
	"testing"

	"golang.org/x/net/http2"
)

// A body passes windows of any size, of the stream and of the connection, that open byte by byte or all at once.
func TestH2Windows(t *testing.T) {
	body := pattern(200_000)
	for _, chunked := range []bool{false, true} {
		head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if chunked {
			head = fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
		}
		w := hostile(t, scripted(t, head))
		for _, step := range []uint32{997, 16384, 70_000} {
			e := w.enemy(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
			id := e.open(true)
			e.flush()
			var got []byte
			for done := false; !done; {
				f, err := e.ReadFrame()
				e.ok(err)
				data, ok := f.(*http2.DataFrame)
				if !ok {
					continue
				}
				got = append(got, data.Data()...)
				done = data.StreamEnded()
				if !done && (len(got) == 1 || len(got)%int(step) == 1) {
					e.ok(e.WriteWindowUpdate(id, step))
					e.ok(e.WriteWindowUpdate(0, step))
					e.flush()
				}
			}
			sameBytes(t, got, body)
			e.conn.Close()
		}
		w.alone()
	}
}

// A window that shrinks below what has been sent is negative until the client has opened it again (RFC 9113, section 6.9.2).
func TestH2WindowShrinks(t *testing.T) {
	body := pattern(60_000)
	w := hostile(t, scripted(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)))
	e := w.enemy(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 20_000})
	id := e.open(true)
	e.flush()
	var got []byte
	read := func(until int) {
		for len(got) < until {
			f, err := e.ReadFrame()
			e.ok(err)
			if data, ok := f.(*http2.DataFrame); ok {
				got = append(got, data.Data()...)
			}
		}
	}
	read(20_000)
	e.ok(e.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 5_000})) // the window is -15,000
	e.ok(e.WriteWindowUpdate(id, 15_000))
	e.ok(e.WritePing(false, [8]byte{1}))
	e.flush()
	for {
		f, err := e.ReadFrame()
		e.ok(err)
		if data, ok := f.(*http2.DataFrame); ok {
			t.Fatalf("%d bytes came without a window", data.Length)
		}
		if ping, ok := f.(*http2.PingFrame); ok && ping.IsAck() {
			break
		}
	}
	e.ok(e.WriteWindowUpdate(id, 100_000))
	e.flush()
	read(len(body))
	sameBytes(t, got, body)
}

// Bodies that nobody takes fill the connection's window, though none fills that of its stream, and what is sent beyond ends it.
func TestH2WindowOfAllBodies(t *testing.T) {
	g, w, first := behindOne(t)
	e := w.enemy()
	told, code := make(chan struct{}), make(chan http2.ErrCode, 1)
	go func() { code <- e.ending(told) }()
	for range 5 {
		id := e.open(false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/")
		for range 15 {
			e.ok(e.WriteData(id, false, make([]byte, 16_000)))
		}
	}
	e.flush()
	if got := receive(t, code, "the end of the connection"); got != http2.ErrCodeFlowControl {
		t.Errorf("ended with %v", got)
	}
	e.conn.Close()
	g.answer <- struct{}{}
	first.conn.Close()
	w.alone()
}
