package pool

import "sync/atomic"

// TLS counts the TLS connections with clients of a frontend, or with the servers of a backend. Its methods may be
// called from any goroutine.
type TLS struct {
	Conns Gauge // connections now, from the first byte of the handshake on

	full, resumed, failed atomic.Uint64
	rate, keyRate         Rate // handshakes of a second, and those of them that were not short
}

// TLSTotals are handshakes since the start.
type TLSTotals struct {
	Full, Resumed, Failed uint64 // Resumed are those that went on with an earlier session, and so needed no key
}

// All is the number of connections that have been.
func (t TLSTotals) All() uint64 { return t.Full + t.Resumed + t.Failed }

// Begin notes a new connection. End follows.
func (t *TLS) Begin() { t.Conns.Add(1) }

// End takes a connection back.
func (t *TLS) End() { t.Conns.Add(-1) }

// Shaken counts a handshake that has ended well.
func (t *TLS) Shaken(resumed bool) {
	if resumed {
		t.resumed.Add(1)
	} else {
		t.full.Add(1)
	}
}

// Failed counts a handshake that has not.
func (t *TLS) Failed() { t.failed.Add(1) }

// Sum returns the totals.
func (t *TLS) Sum() TLSTotals {
	return TLSTotals{Full: t.full.Load(), Resumed: t.resumed.Load(), Failed: t.failed.Load()}
}

func (t *TLS) tick() {
	full := t.full.Load()
	t.rate.tick(full + t.resumed.Load())
	t.keyRate.tick(full)
}

// TLSRates are the rates of the process.
type TLSRates struct {
	Rate, KeyRate, ServerKeyRate Rate
}

// tickTLS samples the rates; as with those of sessions the process has the sum of them.
func (p *Pool) tickTLS() {
	var all, keys, serverKeys uint64
	for _, f := range p.Frontends {
		f.TLS.tick()
		all += f.TLS.rate.Cur()
		keys += f.TLS.keyRate.Cur()
	}
	for _, b := range p.Backends {
		b.TLS.tick()
		serverKeys += b.TLS.keyRate.Cur()
	}
	r := &p.Process.TLS
	r.Rate.set(all)
	r.KeyRate.set(keys)
	r.ServerKeyRate.set(serverKeys)
}
