package pool

import (
	"net/netip"
	"testing"
	"time"
)

// What still works for a configuration that another one has taken the place of must not decide about its servers.
func TestFormerConfigurationsDecideNothing(t *testing.T) {
	t.Run("discovery", func(t *testing.T) {
		b := newBench(t, BackendOptions{})
		g := b.template(1, nil)
		g.Resolve(found(1))
		p, _ := b.reloaded(ServerOptions{Name: "s1", FQDN: "other", Addr: netip.MustParseAddrPort("10.0.2.9:8000"), Weight: 1, Rise: 2, Fall: 3})
		g.Resolve(found(1))
		if v := p.Backend("be").Servers()[0].View(); v.Addr.String() != "10.0.2.9:8000" {
			t.Errorf("the server of another name is at %s", v.Addr)
		}
	})
	t.Run("checks", func(t *testing.T) {
		b := newBench(t, BackendOptions{})
		s := b.server(func(o *ServerOptions) { o.Fall = 1 })
		p, _ := b.reloaded(options("s1", "10.0.0.1:80", func(o *ServerOptions) { o.Check = false }))
		s.failCheck(3)
		if v := p.Backend("be").Servers()[0].View(); v.Status != "no check" {
			t.Errorf("the server that is not checked any more is %s", v.Status)
		}
	})
	t.Run("agents", func(t *testing.T) {
		b := newBench(t, BackendOptions{})
		s := b.server(func(o *ServerOptions) { o.Agent = true })
		p, _ := b.reloaded(options("s1", "10.0.0.1:80", nil))
		s.ReportAgent(AgentReport{Result: CheckResult{Status: CheckL7Sts}, Order: AgentMaint, Percent: 50, MaxConn: 3})
		if v := p.Backend("be").Servers()[0].View(); v.Admin != 0 || v.Op != Running || v.Weight != 1 {
			t.Errorf("the server without an agent is %+v", v)
		}
	})
	t.Run("traffic", func(t *testing.T) {
		b := newBench(t, BackendOptions{})
		s := b.server(func(o *ServerOptions) { o.Observe, o.OnError, o.ErrorLimit = ObserveL4, OnErrorMarkDown, 1 })
		p, _ := b.reloaded(options("s1", "10.0.0.1:80", func(o *ServerOptions) { o.Check = false }))
		s.ReportTraffic(TrafficConnectError)
		if v := p.Backend("be").Servers()[0].View(); v.Status != "no check" {
			t.Errorf("the server that is not observed any more is %s", v.Status)
		}
	})
}

// A server that was down by the word of somebody who is not asked any more would stay so for ever.
func TestTakeOverWithoutWhoSaidThatTheServerIsDown(t *testing.T) {
	unchecked := func(o *ServerOptions) { o.Check = false }
	t.Run("an agent", func(t *testing.T) {
		b := newBench(t, BackendOptions{})
		s := b.server(func(o *ServerOptions) { o.Check, o.Agent = false, true })
		s.ReportAgent(AgentReport{Result: CheckResult{Status: CheckL7Sts}, Percent: -1, MaxConn: -1})
		b.wantStates("10.0.0.1 DOWN (agent)")
		p, _ := b.reloaded(options("s1", "10.0.0.1:80", unchecked))
		if v := p.Backend("be").Servers()[0].View(); v.Op != Running || v.Status != "no check" {
			t.Errorf("without its agent the server is %s", v.Status)
		}
		again := New(2)
		again.AddBackend(BackendOptions{Name: "be"}).AddServer(options("s1", "10.0.0.1:80", func(o *ServerOptions) { o.Check, o.Agent = false, true }))
		again.TakeOver(p).Commit()
		if v := again.Backend("be").Servers()[0].View(); v.AgentHealth != 1 {
			t.Error("an agent that has yet to be asked has said that the server is down")
		}
	})
	t.Run("a tracked server", func(t *testing.T) {
		b := newBench(t, BackendOptions{})
		s := b.server(nil)
		b.server(unchecked).Track(s)
		s.failCheck(1)
		p, _ := b.reloaded(options("s1", "10.0.0.1:80", nil), options("s2", "10.0.0.2:80", unchecked))
		if v := p.Backend("be").Servers()[1].View(); v.Op != Running || v.Status != "no check" {
			t.Errorf("without the server that it tracked the server is %s", v.Status)
		}
	})
}

func TestTakeOverMovesTheAgent(t *testing.T) {
	agent := func(port uint16) func(*ServerOptions) {
		return func(o *ServerOptions) { o.Agent, o.AgentAt = true, AgentTarget{Port: port} }
	}
	b := newBench(t, BackendOptions{})
	b.server(agent(7000))
	p, _ := b.reloaded(options("s1", "10.0.0.1:80", agent(7001)))
	if got := p.Backend("be").Servers()[0].View().AgentTarget.Port; got != 7001 {
		t.Errorf("the agent is asked at port %d", got)
	}
	b = newBench(t, BackendOptions{})
	s := b.server(agent(7000))
	s.SetAgentTarget(AgentTarget{Port: 7009}) // by an operator
	p, _ = b.reloaded(options("s1", "10.0.0.1:80", agent(7000)))
	if got := p.Backend("be").Servers()[0].View().AgentTarget.Port; got != 7009 {
		t.Errorf("the agent that an operator has moved is asked at port %d", got)
	}
}

// A session of before may look at a server that the new configuration lets start slowly.
func TestSlowstartIsOfTheConfigurationInUse(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(nil)
	p, _ := b.reloaded(options("s1", "10.0.0.1:80", func(o *ServerOptions) { o.Slowstart = time.Minute }))
	n := p.Backend("be").Servers()[0]
	n.failCheck(3)
	n.pass(2)
	if v := n.View(); v.Op != Starting {
		t.Fatalf("the server is %s", v.Status)
	}
	if v := s.View(); v.Op != Starting {
		t.Errorf("seen from before the server is %s", v.Status)
	}
}
