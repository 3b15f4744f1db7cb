package agent

import (
	"log/slog"
	"testing"
	"time"

	"waggle/pkg/datapath"
	"waggle/pkg/pool"
)

// The key of a server that is gone is another one's only when the kernel path has forgotten what it has counted under it.
func TestAKeyIsGivenAwayWhenItsCountsAreForgotten(t *testing.T) {
	p := pool.New(1)
	b := p.AddBackend(pool.BackendOptions{Name: "be"})
	s := b.AddServer(pool.DefaultServerOptions())
	k := newKernel(p, nil, nil, slog.New(slog.DiscardHandler), datapath.Identities{})
	d := &departed{server: s, since: time.Now().Add(-2 * settleTime), step: returned}
	k.gone = append(k.gone, d)
	k.last.Servers = map[uint32]datapath.Counts{s.Key: {Sessions: 3}}
	k.reap(time.Now())
	o := pool.DefaultServerOptions()
	o.Name = "early"
	if early, err := b.AddDynamic(o, 0); err != nil || early.Key == s.Key {
		t.Errorf("the key of a server that has counts is given away: %v", err)
	}
	k.last.Servers = nil
	k.reap(time.Now())
	o.Name = "late"
	if late, err := b.AddDynamic(o, 0); err != nil || late.Key != s.Key {
		t.Errorf("the key is not used again: %v", err)
	}
}
