package pool

import (
	"fmt"
	"net/netip"
	"time"
)

// CheckStatus is the outcome of a health check, with HAProxy's codes and descriptions.
type CheckStatus uint8

// The outcomes, in HAProxy's order.
const (
	CheckUnknown CheckStatus = iota
	CheckInit
	CheckChecked
	CheckHANA
	CheckSockErr
	CheckL4OK
	CheckL4Tout
	CheckL4Con
	CheckL6OK
	CheckL6Tout
	CheckL6Rsp
	CheckL7Tout
	CheckL7Rsp
	CheckL7OK
	CheckL7OKC
	CheckL7Sts
	CheckProcErr
	CheckProcTout
	CheckProcOK
)

var checkWords = [...]struct{ code, text string }{
	CheckUnknown:  {"UNK", "Unknown"},
	CheckInit:     {"INI", "Initializing"},
	CheckChecked:  {"CHECKED", "No status change"},
	CheckHANA:     {"HANA", "Health analyze"},
	CheckSockErr:  {"SOCKERR", "Socket error"},
	CheckL4OK:     {"L4OK", "Layer4 check passed"},
	CheckL4Tout:   {"L4TOUT", "Layer4 timeout"},
	CheckL4Con:    {"L4CON", "Layer4 connection problem"},
	CheckL6OK:     {"L6OK", "Layer6 check passed"},
	CheckL6Tout:   {"L6TOUT", "Layer6 timeout"},
	CheckL6Rsp:    {"L6RSP", "Layer6 invalid response"},
	CheckL7Tout:   {"L7TOUT", "Layer7 timeout"},
	CheckL7Rsp:    {"L7RSP", "Layer7 invalid response"},
	CheckL7OK:     {"L7OK", "Layer7 check passed"},
	CheckL7OKC:    {"L7OKC", "Layer7 check conditionally passed"},
	CheckL7Sts:    {"L7STS", "Layer7 wrong status"},
	CheckProcErr:  {"PROCERR", "External check error"},
	CheckProcTout: {"PROCTOUT", "External check timeout"},
	CheckProcOK:   {"PROCOK", "External check passed"},
}

// String returns the short code, as in the check_status column.
func (s CheckStatus) String() string { return checkWords[s].code }

// Description returns the sentence, as in the check_desc column.
func (s CheckStatus) Description() string { return checkWords[s].text }

// Passed says whether the outcome counts as a success.
func (s CheckStatus) Passed() bool {
	switch s {
	case CheckL4OK, CheckL6OK, CheckL7OK, CheckL7OKC, CheckProcOK:
		return true
	}
	return false
}

// CheckStatuses lists every outcome a check may report, for renderings that enumerate them.
func CheckStatuses() []CheckStatus {
	var all []CheckStatus
	for s := CheckHANA; s <= CheckProcOK; s++ {
		all = append(all, s)
	}
	return all
}

// CheckResult is one finished check.
type CheckResult struct {
	Status   CheckStatus
	Code     int           // layer 7 code, 0 if there is none; told from CheckL7OK on
	Info     string        // e.g. "Connection refused"; empty if there is nothing to add
	Duration time.Duration // of the check
	// For is the server's address when the check began. A result for an address that the server no
	// longer has is ignored; the zero value applies whatever the address.
	For netip.AddrPort
}

// reason renders the result as HAProxy's log lines have it.
func (r CheckResult) reason() string {
	s := "reason: " + r.Status.Description()
	if r.Status >= CheckL7OK {
		s += fmt.Sprintf(", code: %d", r.Code)
	}
	if r.Info != "" {
		s += fmt.Sprintf(", info: %q", r.Info)
	}
	return s + fmt.Sprintf(", check duration: %dms", r.Duration.Milliseconds())
}

// because is the end of a line about a change that a check has made. With `option log-health-checks` the check has a line of its
// own, so that this one does not say why (HAProxy, check.c).
func (s *Server) because(r CheckResult) string {
	if s.LogChecks {
		return ""
	}
	return ", " + r.reason()
}

// count adds an outcome to the health and reports whether that changed it. Failures of a server whose
// health is 0 already are not counted.
func (c *change) count(s *Server, passed bool) bool {
	st := &s.state
	switch {
	case passed && st.health < s.maxHealth():
		if st.health++; st.health >= s.Rise {
			st.health = s.maxHealth()
		}
	case !passed && st.health > 0:
		st.failures++
		if st.health--; st.health < s.Rise {
			st.health = 0
		}
	default:
		return false
	}
	return true
}

// logCheck reports a check's outcome for `option log-health-checks`.
func (c *change) logCheck(s *Server) {
	if !s.LogChecks {
		return
	}
	st := &s.state
	outcome := "failed"
	switch {
	case st.check.Status == CheckL7OKC:
		outcome = "conditionally succeeded"
	case st.check.Status.Passed():
		outcome = "succeeded"
	}
	word, n, of := "DOWN", st.health, s.Rise
	if st.health >= s.Rise {
		word, n, of = "UP", st.health-s.Rise+1, s.Fall
		if st.weight == 0 {
			word = "DRAIN"
		}
	}
	backup := ""
	if s.Backup {
		backup = "backup "
	}
	c.event(EventCheck, Notice, s, "Health check for %sserver %s %s, %s, status: %d/%d %s.", backup, s.path(), outcome, st.check.reason(), n, of, word)
}

// MarkCheckRunning says whether a check is under way, for reports.
func (s *Server) MarkCheckRunning(on bool) { s.probing.Store(on) }

// ReportCheck records a finished health check. Health is one integer, 0 to rise+fall-1: a success adds
// one and jumps to the top when it reaches rise; a failure takes one and drops to 0 when it falls
// below rise (HAProxy, check.c). Results for a server in maintenance, or for an address that it had
// before, are ignored. A success ends a row of errors in traffic (observed on 2.6).
func (s *Server) ReportCheck(r CheckResult) {
	s.Backend.commit(func(c *change) {
		st := &s.state
		if s.Backend.former() || st.admin.Maint() || !s.checking() || r.For.IsValid() && r.For != st.addr {
			return
		}
		news := r.Status != st.check.Status
		st.check, st.checked = r, true
		if r.Status.Passed() {
			s.errors.Store(0)
		}
		if c.count(s, r.Status.Passed()) || news {
			c.logCheck(s)
		}
		if r.Status == CheckL7OKC {
			if st.op != Stopped {
				c.stopping(s, s.because(st.check))
			}
			return
		}
		c.operational(s, s.because(st.check))
	})
}
