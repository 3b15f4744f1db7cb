package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"waggle/pkg/lab/labtest"
	"waggle/pkg/pool"
)

// What an operator adds or removes while a reload is under way belongs to the configuration before, and departs with it, or to the
// new one: nothing is left between them, and nothing departs that is there.
func TestReloadsLoseNoServerOfAnOperator(t *testing.T) {
	cfg := parse(t, fmt.Sprintf("listen l\n    bind %s\n    mode http\n    server a 127.0.0.1:1\n", labtest.FreeAddr(t)))
	a, err := New(t.Context(), Options{Config: cfg, Datapath: DatapathOff, Loops: 4, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer a.signals.stop()
	if a.sockets, err = a.openSockets(); err != nil {
		t.Fatal(err)
	}
	a.engine.Start()
	a.now().start()
	defer func() {
		a.now().stop()
		if err := a.close(); err != nil {
			t.Error(err)
		}
	}()
	const rounds = 300
	var operator sync.WaitGroup
	var added []*pool.Server
	operator.Go(func() {
		for n := range rounds {
			b, name := a.Pool().Backend("l"), fmt.Sprintf("s%d", n)
			if err := (control{a}).AddServer(b, name, []string{"127.0.0.1:2"}); err != nil {
				t.Error(err)
				return
			}
			for _, s := range b.Servers() {
				if s.Name != name {
					continue
				}
				added = append(added, s)
				if n%2 == 0 {
					if err := (control{a}).RemoveServer(s); err != nil && !errors.Is(err, pool.ErrServerGone) {
						t.Error(err)
					}
				}
			}
		}
	})
	for range rounds {
		if err := a.change(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	operator.Wait()
	present := a.Pool().Backend("l").Servers()
	for _, s := range added {
		here := slices.ContainsFunc(present, func(o *pool.Server) bool { return o.Key == s.Key })
		times := 0
		for _, d := range a.kernel.gone {
			if d.server.Key == s.Key {
				times++
			}
		}
		if here && times > 0 || !here && times != 1 {
			t.Errorf("server %s: in use: %v, and departs %d times", s.Name, here, times)
		}
	}
}
