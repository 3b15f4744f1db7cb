package agent

import (
	"log/slog"
	"testing"

	"waggle/pkg/accesslog"
	"waggle/pkg/config"
)

// A ring that the next configuration declares as before keeps its lines; another definition begins anew.
func TestRingsOutliveReloads(t *testing.T) {
	declare := func(size int) *config.Config {
		logs := []config.LogTarget{{Address: "ring@r"}}
		return &config.Config{
			Rings:   []*config.Ring{{Name: "r", Size: size, MaxLength: 100}},
			Proxies: []*config.Proxy{{Name: "f", Logs: logs}},
		}
	}
	first, err := openLogs(declare(20000), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ring := first.rings[0]
	more := ring.More(accesslog.Cursor{})
	first.byProxy["f"].Process(accesslog.Notice, "kept")
	<-more
	same, err := first.next(declare(20000))
	if err != nil {
		t.Fatal(err)
	}
	other, err := same.next(declare(30000))
	if err != nil {
		t.Fatal(err)
	}
	if err := first.close(); err != nil {
		t.Error(err)
	}
	if same.rings[0] != ring || other.rings[0] == ring {
		t.Errorf("rings %p %p %p", ring, same.rings[0], other.rings[0])
	}
	if text, _, _, ok := same.rings[0].Next(accesslog.Cursor{}, nil); !ok || string(text) != "kept" {
		t.Errorf("%q %t", text, ok)
	}
	for _, l := range []*logs{same, other} {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}
	if n := len(first.shelf.rings); n != 0 {
		t.Errorf("%d rings are left", n)
	}
}
