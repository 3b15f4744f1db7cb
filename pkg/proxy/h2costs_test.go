package proxy

import (
	"io"
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
			for id := uint32(1); id < 10_000; { // 5 at a time, so that none is refused for their number
				for range 5 {
					e.ok(e.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: e.block(), EndHeaders: true, EndStream: true}))
					e.ok(mistake(e, id))
					id += 2
				}
				switch got := e.outcome(0, goesOn); got {
				case goesOn:
				case calmError:
					if id < 2*resetBurst {
						t.Errorf("it ended with stream %d", id)
					}
					e.conn.Close()
					w.alone()
					return
				default:
					t.Fatal(got)
				}
			}
			t.Error("all streams were taken")
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
			e.flush()
			go io.Copy(io.Discard, e.conn)
			say(e)
			e.flush()
			eventually(t, "the client has to wait", func() (resting bool) {
				w.onLoop(func(wk *worker) {
					for m := range wk.muxes {
						resting = m.resting
					}
				})
				return resting
			})
			e.conn.Close()
		})
	}
}

// What a client has said is looked at to its end though the answers to its beginning fill all the room that there is for them.
func TestH2AnswersFillTheirRoom(t *testing.T) {
	w := hostile(t, named(t, "a"))
	e := w.enemy()
	for range 3000 {
		e.raw(fHeaders, endStream|endHeaders, e.next, []byte{0x82})
		e.next += 2
	}
	id := e.open(true)
	e.flush()
	if got := e.status(id); got != "200" {
		t.Errorf("the last request got %s", got)
	}
	e.conn.Close()
	w.alone()
}
