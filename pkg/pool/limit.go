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

// bound is the limit at this moment. With minconn it follows the load of the backend: as many of maxconn as the backend has
// sessions of its fullconn, those that wait included, though no fewer than minconn; and no more than that share while the
// server starts slowly (HAProxy, section 5.2, minconn).
func (s *Server) bound() int64 {
	limit := s.limit.Load()
	if s.MinConn == 0 || limit == 0 {
		return limit
	}
	load, full := s.Backend.Sessions.Load(), int64(s.Backend.FullConn)
	if load >= full {
		return limit
	}
	return max(1, max(int64(s.MinConn), load*s.most.Load()/full)*s.warmed.Load()/WeightScale)
}

// setLimit derives the limit from maxconn and how far a slow start has come; the backend's lock is held.
func (s *Server) setLimit() {
	limit := s.state.maxConn
	if limit > 0 {
		limit = max(1, limit*s.state.warmth/WeightScale)
	}
	s.most.Store(int64(s.state.maxConn))
	s.warmed.Store(int64(s.state.warmth))
	s.limit.Store(int64(limit))
}
