package pool

// Limits bound both paths together, and an operator may change them while traffic runs. Lowering one
// ends nothing: what is above it is not replaced when it ends. 0 is no limit.

// Limit returns the most connections that the process takes.
func (p *poolLife) Limit() int { return int(p.limit.Load()) }

// SetLimit changes the most connections that the process takes.
func (p *poolLife) SetLimit(n int) {
	p.limit.Store(int64(n))
	p.signal()
}

// Limit returns the most sessions that the frontend takes.
func (f *Frontend) Limit() int { return int(f.limit.Load()) }

// SetLimit changes the most sessions that the frontend takes.
func (f *Frontend) SetLimit(n int) {
	f.limit.Store(int64(n))
	f.pool.signal()
}

// SetLimit changes the maxconn of the server. Requests that wait get the places that this makes.
func (s *Server) SetLimit(n int) {
	s.Backend.mu.Lock()
	s.state.maxConn = n
	s.setLimit()
	s.Backend.mu.Unlock()
	s.Backend.pool.signal()
	s.Backend.drainQueue()
}

// setLimit derives the limit from maxconn and how far a slow start has come; the backend's lock is held.
func (s *Server) setLimit() {
	limit := s.state.maxConn
	if limit > 0 {
		limit = max(1, limit*s.state.warmth/WeightScale)
	}
	s.limit.Store(int64(limit))
}
