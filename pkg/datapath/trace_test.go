package datapath

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// dry is a second copy of the program that changes nothing.
func (k *kernel) dry(t *testing.T, o Options) *ebpf.Program {
	t.Helper()
	programs, err := k.obj.loadAgain(o.withDefaults(), func(spec *ebpf.CollectionSpec) error {
		return spec.Variables[lbVarWgDryRun].Set(uint32(1))
	})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { programs.Close() })
	return programs.WgIngress
}

func (k *kernel) trace(t *testing.T, prog *ebpf.Program, from string) (got Trace) {
	t.Helper()
	k.must(t, "trace", func() (err error) { got, err = runDry(prog, ap(from), ap(front())); return err })
	return got
}

// contents is all that a dry run could change, of the maps that have few entries.
func (k *kernel) contents(t *testing.T) string {
	t.Helper()
	s := k.snapshot(t)
	var begun []uint64
	if err := k.obj.WgBegun.Lookup(uint32(0), &begun); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintln(begun, s)
	for i := range uint32(6) {
		text += fmt.Sprintf("%+v\n", k.gauge(i))
	}
	for _, f := range k.flows(t) {
		f.Age, f.Idle = 0, 0
		text += fmt.Sprintf("%+v\n", f)
	}
	return text
}

// A dry run says which server the next connection gets, for each algorithm that does not draw lots, and changes nothing.
func TestTraceForetells(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(3))
	prog := k.dry(t, Options{})
	for i := range 7 {
		before := k.contents(t)
		first := k.trace(t, prog, client(i))
		if again := k.trace(t, prog, client(i)); !reflect.DeepEqual(first, again) {
			t.Errorf("%+v, and then %+v", first, again)
		}
		if after := k.contents(t); after != before {
			t.Fatalf("before\n%s\nafter\n%s", before, after)
		}
		c := k.open(t, client(i))
		if first.Outcome != OutcomeTaken || first.Service != 7 || ap(taskAddr(int(first.Server)-101)+":9000") != c.task {
			t.Errorf("%+v, and then the connection went to %s", first, c.task)
		}
		if got := k.trace(t, prog, client(i)); got.Outcome != OutcomeFlow || got.Server != first.Server || got.Service != 7 {
			t.Errorf("a connection that is there: %+v", got)
		}
	}
}

func TestTraceGivesTheReason(t *testing.T) {
	taken := Trace{Outcome: OutcomeTaken, Service: 7, Server: 101}
	left := func(reason int, server uint32) Trace {
		return Trace{Outcome: OutcomeLeft, Service: 7, Server: server, Reason: reasonTable[reason]}
	}
	for _, tt := range []struct {
		name    string
		arrange func(k *kernel, d *Desired)
		want    Trace
	}{
		{"taken", func(*kernel, *Desired) {}, taken},
		{"no service", func(_ *kernel, d *Desired) { d.Services = nil }, Trace{}},
		{"no server", func(_ *kernel, d *Desired) { d.Services[0].Schedule = nil }, left(reasonNoServer, 0)},
		{"queued", func(_ *kernel, d *Desired) { d.Services[0].Queued = true }, left(reasonQueued, 0)},
		{"no route", func(_ *kernel, d *Desired) {
			d.Services[0].Servers[0].Addr = netip.MustParseAddrPort(unroutable + ":9000")
		}, left(reasonNoRoute, 0)},
		{"no port", func(k *kernel, _ *Desired) { k.obj.settings.PortMin, k.obj.settings.PortMax = 2, 1 }, left(reasonNoPort, 101)},
		{"stale", func(k *kernel, _ *Desired) { k.obj.settings.Heartbeat = 0 }, left(reasonStale, 0)},
		{"taken below all limits", func(_ *kernel, d *Desired) {
			d.GlobalLimit, d.Services[0].Limit, d.Services[0].Servers[0].Limit = 4, 4, 4
		}, taken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKernel(t, Options{})
			d := oneService(1)
			tt.arrange(k, &d)
			k.sync(t, d)
			before := k.contents(t)
			if got := k.trace(t, k.dry(t, Options{}), client(0)); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
			if after := k.contents(t); after != before {
				t.Errorf("before\n%s\nafter\n%s", before, after)
			}
		})
	}
}

// A connection that has ended, or is being deleted, is none that is there.
func TestTraceOfAConnectionThatIsOver(t *testing.T) {
	for name, end := range map[string]func(*kernel, *conn){
		"closed": func(_ *kernel, c *conn) { taskCloses(t, c) },
		"deleted": func(k *kernel, c *conn) {
			k.edit(t, keyOf(c.client, c.front), func(f *lbWgFlow) { f.State = lbWgStateWG_DEAD })
		},
	} {
		k := newKernel(t, Options{})
		k.sync(t, oneService(1))
		end(k, k.establish(t, client(0)))
		if got := k.trace(t, k.dry(t, Options{}), client(0)); got.Outcome != OutcomeTaken || got.Server != 101 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A port whose server is in TIME_WAIT is one that can be had, by its flow or by what a tombstone remembers, and stays as it is.
func TestTraceOfAPortThatCanBeReopened(t *testing.T) {
	for _, recycled := range []bool{false, true} {
		k := newKernel(t, Options{})
		k.sync(t, oneService(1))
		k.obj.settings.PortMin, k.obj.settings.PortMax = 2000, 2000
		prog := k.dry(t, Options{})
		c := k.establish(t, client(0))
		taskCloses(t, c)
		k.age(t, -time.Hour)    // it is too soon however long this machine takes
		const last = 0xf0000000 // so that the number of a dry run's SYN, 1, is newer
		k.edit(t, keyOf(c.client, c.front), func(f *lbWgFlow) { f.SeqNext = last })
		k.edit(t, keyOf(c.task, c.back), func(f *lbWgFlow) { f.Ack = last })
		if recycled {
			k.recycle(t, c)
		}
		if got := k.trace(t, prog, client(1)); got.Outcome != OutcomeLeft || got.Reason.Name != "no_port" {
			t.Errorf("recycled %v, too soon: %+v", recycled, got)
		}
		k.age(t, time.Hour+2*time.Second)
		before := k.contents(t)
		got := k.trace(t, prog, client(1))
		if got.Outcome != OutcomeTaken {
			t.Errorf("recycled %v: %+v", recycled, got)
		}
		if after := k.contents(t); after != before {
			t.Errorf("recycled %v: before\n%s\nafter\n%s", recycled, before, after)
		}
	}
}

// Ports that others have are passed by without being asked for.
func TestTracePassesTakenPorts(t *testing.T) {
	k := newKernel(t, Options{})
	k.obj.settings.PortMin, k.obj.settings.PortMax = 1024, 1026
	k.sync(t, oneService(1))
	prog := k.dry(t, Options{})
	for i := range 3 {
		k.target(t, 101).Ports = 0 // the turn of those that are taken
		if got := k.trace(t, prog, client(9)); got.Outcome != OutcomeTaken {
			t.Fatalf("with %d of 3 ports taken: %+v", i, got)
		}
		k.open(t, client(i))
	}
	if got := k.trace(t, prog, client(9)); got.Outcome != OutcomeLeft || got.Reason.Name != "no_port" {
		t.Errorf("with all ports taken: %+v", got)
	}
}
