package proxy

import (
	"io"
	"math"
	"testing"

	"golang.org/x/net/http2"

	"waggle/pkg/config"
	"waggle/pkg/proxy/h2"
)

// Who has us end streams, by errors that are only a stream's, may do so no more often than who resets them (CVE-2025-8671): the
// server has each request by then.
func TestH2MadeYouReset(t *testing.T) {
	const atOnce = 80 // so many that a client whose answers take long is faster than resetFrames, too
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
			w := hostile(t, g.addr, func(s *Setup, _, _ *config.Proxy) { s.Config.Global.TLS.MaxStreams = atOnce })
			e := w.enemy()
			e.AllowIllegalWrites = true
			for id := uint32(1); id < 50_000; { // none is refused for their number
				for range atOnce {
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
	for name, x := range map[string]struct {
		say   func(e *enemy) error
		limit int // bytes
	}{
		"settings of the window": {func(e *enemy) error { return e.WriteSettings(windows...) }, idleBurst / 2 * len(windows) * h2.SettingSize}, // too few frames to cost that
		"malformed requests": {func(e *enemy) error {
			e.next += 2
			return e.WriteHeaders(http2.HeadersFrameParam{StreamID: e.next - 2, BlockFragment: []byte{0x82}, EndHeaders: true, EndStream: true})
		}, math.MaxInt},
	} {
		t.Run(name, func(t *testing.T) {
			w := hostile(t, named(t, "a"))
			e := w.enemy()
			e.post()
			e.flush()
			go io.Copy(io.Discard, e.conn)
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() { // for as long as it takes: on a machine that stalls, a client may have earned anew what it had used up
				defer close(stopped)
				e.flood(x.limit, stop, func() error { return x.say(e) })
			}()
			eventually(t, "the client has to wait", func() (resting bool) {
				w.onLoop(func(wk *worker) {
					for m := range wk.muxes {
						resting = m.resting
					}
				})
				return resting
			})
			close(stop)
			e.conn.Close()
			receive(t, stopped, "the client's end")
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
