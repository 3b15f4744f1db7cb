package proxy

import (
	"errors"
	"testing"

	"golang.org/x/net/http2"

	"waggle/pkg/config"
)

// Who has us end streams, by errors that are only a stream's, may do so no more often than who resets them (CVE-2025-8671): the
// server has each request by then.
func TestH2MadeYouReset(t *testing.T) {
	for name, mistake := range map[string]func(e *enemy, id uint32) error{
		"a window by 0": func(e *enemy, id uint32) error {
			return e.WriteRawFrame(http2.FrameWindowUpdate, 0, id, make([]byte, 4))
		},
		"a window that is full": func(e *enemy, id uint32) error { return e.WriteWindowUpdate(id, 1<<31-1) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			defer close(g.answer)
			go func() {
				for range g.arrived {
				}
			}()
			w := hostile(t, g.addr, func(s *Setup, _, _ *config.Proxy) { s.Config.Global.TLS.MaxStreams = 20 })
			e := w.enemy()
			e.AllowIllegalWrites = true
			told, code := make(chan struct{}), make(chan http2.ErrCode, 1)
			go func() { code <- e.ending(told) }()
			const limit = 4 << 20 // some 100,000 requests
			sent := e.flood(limit, told, func() error {
				id := e.next
				e.next += 2
				return errors.Join(e.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: e.block(), EndHeaders: true, EndStream: true}), mistake(e, id))
			})
			e.conn.CloseWrite()
			if got := <-code; got != http2.ErrCodeEnhanceYourCalm {
				t.Errorf("after %d bytes the connection ended with %v", sent, got)
			}
			e.conn.Close()
			w.alone()
		})
	}
}

// Settings that take a walk through all streams cost what frames do that carry nothing, each of them: one frame has room for a
// thousand. And so do requests that are none.
func TestH2CostlyFrames(t *testing.T) {
	windows := make([]http2.Setting, 1000)
	for i := range windows {
		windows[i] = http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i)}
	}
	for name, say := range map[string]func(e *enemy){
		"settings of the window": func(e *enemy) {
			for range 10 {
				e.ok(e.WriteSettings(windows...))
			}
		},
		"malformed requests": func(e *enemy) {
			for range 8000 {
				e.raw(fHeaders, endStream|endHeaders, e.next, []byte{0x82})
				e.next += 2
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := hostile(t, named(t, "a"))
			e := w.enemy()
			e.post()
			say(e)
			e.flush()
			worker := w.engine.workers[0]
			eventually(t, "the client has to wait", func() bool {
				resting := make(chan bool, 1)
				worker.loop.Post(func() {
					for m := range worker.muxes {
						resting <- m.resting
						return
					}
					resting <- false
				})
				return <-resting
			})
			e.conn.Close()
		})
	}
}
