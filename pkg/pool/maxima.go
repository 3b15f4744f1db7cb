package pool

// ClearMaxima forgets the highest values seen of every gauge, rate and time, as `clear counters` of
// HAProxy's Runtime API does. A maximum starts again at the current value; totals stay.
func (p *Pool) ClearMaxima() {
	p.Process.Conns.clearMax()
	clearMax(&p.Process.ConnRate, &p.Process.SessRate, &p.Process.ReqRate)
	for _, f := range p.Frontends {
		f.Sessions.clearMax()
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
