package pool

import "fmt"

// Observe is which traffic is watched for errors (HAProxy, section 5.2, observe).
type Observe uint8

// What there is.
const (
	ObserveNone Observe = iota
	ObserveL4           // whether connections succeed
	ObserveL7           // whether responses make sense, too
)

// defaultErrorLimit is HAProxy's (section 5.2, error-limit).
const defaultErrorLimit = 10

// OnError is what error-limit errors in a row come to.
type OnError uint8

// What there is; fail-check is the default.
const (
	OnErrorFailCheck   OnError = iota // as a failed health check
	OnErrorFastInter                  // checks come faster
	OnErrorSuddenDeath                // as a failed check after which one more takes the server down
	OnErrorMarkDown                   // the server is down
)

// Traffic is something that traffic told of a server.
type Traffic uint8

// What there is to tell.
const (
	TrafficConnected Traffic = iota
	TrafficResponse
	TrafficConnectError
	TrafficStatus
	TrafficInvalid
	TrafficReadError
	TrafficReadTimeout
	TrafficClosed
)

var trafficTexts = [...]string{
	TrafficConnectError: "L4 unsuccessful connection", TrafficStatus: "Wrong http response", TrafficInvalid: "Invalid http response",
	TrafficReadError: "Read error (http)", TrafficReadTimeout: "Read timeout (http)", TrafficClosed: "Close from server (http)",
}

// ReportTraffic tells of a server's traffic. It costs next to nothing for a server that is not observed or that works.
func (s *Server) ReportTraffic(what Traffic) {
	if s.Observe == ObserveNone {
		return
	}
	l7 := what != TrafficConnected && what != TrafficConnectError
	switch {
	case l7 != (s.Observe == ObserveL7) && what != TrafficConnectError:
		return
	case what <= TrafficResponse:
		if s.errors.Load() != 0 {
			s.errors.Store(0)
		}
		return
	case s.errors.Add(1) < int64(s.ErrorLimit):
		return
	}
	n := s.errors.Swap(0)
	if n == 0 { // another one has reported the same
		return
	}
	s.Backend.commit(func(c *change) {
		c.observed(s, fmt.Sprintf("Detected %d consecutive errors, last one was: %s", n, trafficTexts[what]))
	})
}

// observed acts on too many errors.
func (c *change) observed(s *Server, text string) {
	st := &s.state
	if s.Backend.former() || st.admin.Maint() || st.op == Stopped || !s.checking() {
		return
	}
	st.traffic++
	c.event(EventErrors, Notice, s, "")
	switch s.OnError {
	case OnErrorFastInter:
		return
	case OnErrorSuddenDeath:
		if st.health > s.Rise {
			st.health = s.Rise + 1
		}
	case OnErrorMarkDown:
		st.health = s.Rise
	}
	st.check, st.checked = CheckResult{Status: CheckHANA, Info: text}, true
	if c.count(s, false) {
		c.logCheck(s)
	}
	c.operational(s, s.because(st.check))
}
