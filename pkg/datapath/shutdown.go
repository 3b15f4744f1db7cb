package datapath

import "sync/atomic"

// Shutdown ends the flows that match says yes to, and returns how many there were. Both ends get a RST at once. cause is what the
// session's log line gives as reason: EndServerDown or EndKilled. Flows that have ended already, and only hold their
// port, are not asked about. It reads the whole table; match must not call Close.
func (dp *Datapath) Shutdown(cause End, match func(Flow) bool) (int, error) {
	dp.inUse.RLock()
	defer dp.inUse.RUnlock()
	if dp.isClosed() {
		return 0, errClosed
	}
	return dp.collector.shutdown(cause, match)
}

// Live is the number of flows of a server that have not ended, half-open ones among them. It costs no system call.
func (dp *Datapath) Live(server uint32) int {
	return dp.number(gaugeKey{server: true, id: server}, func(index uint32) uint64 { return dp.obj.load(index).open() })
}

// Established is the number of established flows of a service. It costs no system call.
func (dp *Datapath) Established(service uint32) int {
	return dp.number(gaugeKey{id: service}, func(index uint32) uint64 { return uint64(atomic.LoadUint32(&dp.obj.gauges[index].Established)) })
}

func (dp *Datapath) number(key gaugeKey, of func(index uint32) uint64) int {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	index, ok := dp.planner.gauges.used[key]
	if dp.closed || !ok {
		return 0
	}
	return int(of(index))
}

// shutdown deletes flows that are alive, whatever they do meanwhile.
func (c *collector) shutdown(cause End, match func(Flow) bool) (deleted int, err error) {
	now := monotonicNow()
	var doomed []sentence
	err = eachEntry(c.obj.WgFlows, func(key lbWgKey, f lbWgFlow) bool {
		if f.Dir != dirForward || f.State != lbWgStateWG_HALF && f.State != lbWgStateWG_ESTABLISHED {
			return true
		}
		rev, _ := twin(c.obj.WgFlows, f)
		if match(makeFlow(key, f, rev, now)) {
			s := sentenceOf(key, f, rev)
			s.How, s.End = lbWgDoomWG_DOOM_FORCED, lbWgEnd(cause)
			doomed = append(doomed, s)
		}
		return true
	})
	n, flushErr := c.execute(doomed)
	if err == nil {
		err = flushErr
	}
	return n, err
}
