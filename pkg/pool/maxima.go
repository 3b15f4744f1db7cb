package pool

// ClearMaxima forgets the highest values seen of every gauge, rate and time, as `clear counters` of
// HAProxy's Runtime API does. A maximum starts again at the current value; totals stay.
func (p *Pool) ClearMaxima() {
	p.Process.Conns.clearMax()
	clearMax(&p.Process.ConnRate, &p.Process.SessRate, &p.Process.ReqRate)
	clearMax(&p.Process.TLS.Rate, &p.Process.TLS.KeyRate, &p.Process.TLS.ServerKeyRate)
	for _, f := range p.Frontends {
		f.Sessions.clearMax()
		for _, l := range f.Listeners {
			l.Sessions.clearMax()
		}
		clearMax(&f.SessionRate, &f.ConnRate, &f.RequestRate)
	}
	for _, b := range p.Backends {
		b.Sessions.clearMax()
		b.Queue.clearMax()
		b.SessionRate.clearMax()
		b.Times.clearMax()
		for _, s := range b.Servers() {
			s.Sessions.clearMax()
			s.Queue.clearMax()
			s.Idle.clearMax()
			s.SessionRate.clearMax()
			s.Times.clearMax()
		}
	}
}

func clearMax(rates ...*Rate) {
	for _, r := range rates {
		r.clearMax()
	}
}

func (g *Gauge) clearMax() { g.max.Store(g.Load()) }

func (r *Rate) clearMax() { r.max.Store(r.Cur()) }

func (t *Times) clearMax() {
	for _, a := range []*Average{&t.Queue, &t.Connect, &t.Response, &t.Total} {
		a.max.Store(0)
	}
}

// ClearCounters forgets the maxima, and has all totals and averages start again at zero, as `clear
// counters all` does. Rates and what is going on now are not touched.
func (p *Pool) ClearCounters() {
	p.ClearMaxima()
	for _, f := range p.Frontends {
		f.Counters.reset()
		for _, l := range f.Listeners {
			l.Counters.reset()
		}
	}
	for _, b := range p.Backends {
		b.Counters.reset()
		b.Times.reset()
		b.LastSession.Set(0)
		for _, s := range b.Servers() {
			s.Counters.reset()
			s.Times.reset()
			s.LastSession.Set(0)
		}
		b.mu.Lock()
		b.downs = 0
		for _, s := range b.servers {
			s.state.downs, s.state.failures, s.state.traffic = 0, 0, 0
		}
		b.mu.Unlock()
	}
}

func (t *Times) reset() {
	for _, a := range []*Average{&t.Queue, &t.Connect, &t.Response, &t.Total} {
		a.reset()
	}
}
