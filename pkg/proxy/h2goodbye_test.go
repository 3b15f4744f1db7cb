package proxy

import (
	"fmt"
	"io"
	"testing"

	"golang.org/x/net/http2"
)

// A client that reads slowly has all that it was answered before its connection ends, when we stop and when it says good-bye.
func TestH2GoodByeLosesNothing(t *testing.T) {
	body := pattern(12 << 20) // more than the kernel takes
	for name, leave := range map[string]func(*world, *enemy){
		"we stop":      func(w *world, _ *enemy) { w.engine.SoftStop() },
		"the client's": func(_ *world, e *enemy) { e.ok(e.WriteGoAway(0, http2.ErrCodeNo, nil)); e.flush() },
	} {
		t.Run(name, func(t *testing.T) {
			w := hostile(t, scripted(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)))
			e := w.enemy(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
			_ = e.conn.SetReadBuffer(64 << 10)
			e.ok(e.WriteWindowUpdate(0, 1<<30))
			id := e.open(true)
			e.flush()
			eventually(t, "the server has been asked", func() bool { return w.pool.Backends[0].Sessions.Load() == 1 })
			leave(w, e)
			a := e.answer(id)
			for a.wasAway && a.away == http2.ErrCodeNo && !a.ended { // the first, which comes before
				more := e.answer(id)
				more.body = append(a.body, more.body...)
				a = more
			}
			if !a.ended {
				t.Errorf("%v", a)
			}
			sameBytes(t, a.body, body)
			if got := e.ending(make(chan struct{})); got != http2.ErrCodeNo {
				t.Errorf("the connection ended with %v", got)
			}
			e.conn.Close()
			w.alone()
		})
	}
}

// Streams that a client opens before it knows that it is not to are served; later ones are refused, so that it may take them
// elsewhere, and the connection ends with the last one (RFC 9113, section 6.8).
func TestH2GoodByeEnds(t *testing.T) {
	g := newGate(t)
	w := hostile(t, g.addr)
	e := w.enemy()
	first := e.open(true)
	e.flush()
	g.next(t)
	w.engine.SoftStop()
	var ping [8]byte
	for ping == [8]byte{} {
		f, err := e.ReadFrame()
		e.ok(err)
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			if f.LastStreamID != 1<<31-1 || f.ErrCode != http2.ErrCodeNo {
				t.Fatalf("it begins with %v", f)
			}
		case *http2.PingFrame:
			ping = f.Data
		}
	}
	second := e.open(true) // not having read that
	e.flush()
	g.next(t)
	e.ok(e.WritePing(true, ping))
	third := e.open(true)
	e.flush()
	away := false
	for refused := false; !refused; {
		f, err := e.ReadFrame()
		e.ok(err)
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			if away = true; f.LastStreamID != second || f.ErrCode != http2.ErrCodeNo {
				t.Errorf("the last stream is said to be %d: %v", f.LastStreamID, f)
			}
		case *http2.RSTStreamFrame:
			if refused = true; f.StreamID != third || f.ErrCode != http2.ErrCodeRefusedStream {
				t.Errorf("%v", f)
			}
		}
	}
	if !away {
		t.Error("the third stream was refused without a word")
	}
	g.answer <- struct{}{}
	g.answer <- struct{}{}
	whole := make(map[uint32]bool)
	for {
		f, err := e.ReadFrame()
		if err != nil {
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
		if f.Header().Flags.Has(http2.FlagDataEndStream) && f.Header().StreamID != 0 {
			whole[f.Header().StreamID] = true
		}
		if f, ok := f.(*http2.GoAwayFrame); ok && f.LastStreamID > second {
			t.Errorf("the last stream has become %d", f.LastStreamID)
		}
	}
	if !whole[first] || !whole[second] || len(whole) != 2 {
		t.Errorf("answered: %v", whole)
	}
	e.conn.Close()
	w.alone()
}
