package pool

import "time"

// WeightScale is the number of steps in which a starting server comes to its weight (HAProxy,
// BE_WEIGHT_SCALE): effective weights are configured ones times this.
const WeightScale = 16

// startsSlowly says whether a server that comes up now is to be warmed up. One that is up as waggle starts is not: its
// caches are warm, and its peers may not be there to take the load (HAProxy, section 5.2, slowstart).
func (s *Server) startsSlowly(now time.Time) bool {
	return s.Slowstart > 0 && (s.state.downs > 0 || now.Sub(s.Backend.pool.Started) > s.Slowstart)
}

// step is how far a server has come: 1 to WeightScale. It is read under the backend's lock.
func (s *Server) step(now time.Time) int {
	if s.state.op != Starting || s.Slowstart <= 0 { // the latter for those who look from a configuration of before
		return WeightScale
	}
	elapsed := min(max(now.Sub(s.state.changed), 0), s.Slowstart)
	return min(1+int(WeightScale*elapsed/s.Slowstart), WeightScale)
}

// effective is the weight that dynamic algorithms go by. Like the limit it changes at commits only, so that a snapshot
// is of one moment.
func (s *Server) effective() int { return s.state.weight * s.state.warmth }

// warm brings weight and limit of a server to where they should be now.
func (s *Server) warm(now time.Time) {
	st := &s.state
	if st.op == Starting && now.Sub(st.changed) >= s.Slowstart {
		st.op = Running
	}
	st.warmth = s.step(now)
	s.setLimit()
}

// warmUp moves all starting servers of the backend on.
func (b *Backend) warmUp() {
	b.mu.Lock()
	starting := false
	for _, s := range b.servers {
		starting = starting || s.state.op == Starting
	}
	b.mu.Unlock()
	if !starting {
		return
	}
	b.commit(func(c *change) {
		for _, s := range b.servers {
			if s.state.op == Starting {
				s.warm(c.now)
			}
		}
	})
}
