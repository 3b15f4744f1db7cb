package runtimeapi

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"waggle/pkg/pool"
	"waggle/pkg/unixaddr"
)

// stateHeader is the version of the format of `show servers state`, then its columns (HAProxy, server-t.h).
const stateHeader = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight " +
	"srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state " +
	"bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n"

func showServersState(c *session, args []string) string {
	return c.eachServer(args, stateHeader, stateLine)
}

// eachServer writes a line for each server of the backend that is named, by name or number, or of all.
func (c *session) eachServer(args []string, header string, line func(*pool.Server, time.Time) string) string {
	s := c.snapshot()
	var out strings.Builder
	out.WriteString(header)
	name, found := word(args, 0), false
	for _, p := range s.Proxies {
		be := p.Backend
		if be == nil || name != "" && name != be.Name && name != strconv.Itoa(be.ID) {
			continue
		}
		found = true
		for _, srv := range be.Servers() {
			out.WriteString(line(srv, s.Now))
		}
	}
	if name != "" && !found {
		return "Can't find backend.\n"
	}
	return out.String()
}

func stateLine(s *pool.Server, now time.Time) string {
	v := s.View()
	fqdn, record := cmp.Or(v.FQDN, "-"), "-"
	if strings.HasPrefix(v.FQDN, "_") { // the name is one of service records
		fqdn, record = "-", v.FQDN
	}
	return fmt.Sprintf("%d %s %d %s %s %d %d %d %d %d %d %d %d %d %d 0 0 %s %d %s 0 %d %s %s %d\n",
		s.Backend.ID, s.Backend.Name, s.ID, s.Name, addressOf(&v), v.Op, adminNumber(s, &v), v.Weight, s.Weight,
		max(0, int64(now.Sub(v.LastChange)/time.Second)),
		checkNumber(v.Check.Status), checkResult(&v), healthNumber(s, &v), checkState(s, &v), agentState(s, &v),
		fqdn, portOf(&v), record, v.CheckTarget.Port, checkAddress(&v), agentAddress(&v), v.AgentTarget.Port)
}

// adminNumber is the administrative state as HAProxy has it: what the configuration disables has the bit of the
// configuration for good, and that of an operator until one has it ready.
func adminNumber(s *pool.Server, v *pool.View) pool.Admin {
	n := v.Admin &^ pool.ConfigMaint
	if v.Admin&pool.ConfigMaint != 0 {
		n |= pool.ForcedMaint
	}
	if s.Disabled {
		n |= pool.ConfigMaint
	}
	if v.FQDN != s.FQDN {
		n |= pool.NameChanged
	}
	return n
}

func addressOf(v *pool.View) string {
	if !v.Addr.Addr().IsValid() || unixaddr.Is(v.Addr.Addr()) {
		return "-"
	}
	return v.Addr.Addr().Unmap().String()
}

// portOf is a server's port; a unix socket has none.
func portOf(v *pool.View) uint16 {
	if unixaddr.Is(v.Addr.Addr()) {
		return 0
	}
	return v.Addr.Port()
}

func checkAddress(v *pool.View) string {
	if !v.CheckTarget.Addr.IsValid() {
		return "-"
	}
	return v.CheckTarget.Addr.String()
}

// checkOf is the outcome of a number of HAProxy's.
func checkOf(n int) pool.CheckStatus {
	if n > int(pool.CheckInit) {
		return pool.CheckStatus(n - 1)
	}
	return pool.CheckStatus(n)
}

// checkNumber is HAProxy's number of an outcome. HAProxy has one more, for a check that was started,
// after the second.
func checkNumber(s pool.CheckStatus) int {
	if s > pool.CheckInit {
		return int(s) + 1
	}
	return int(pool.CheckInit)
}

// healthNumber is the health of a server; one without checks never gets beyond the first step of being up.
func healthNumber(s *pool.Server, v *pool.View) int {
	if !s.Check {
		return min(v.Health, s.Rise)
	}
	return v.Health
}

// The results and states of checks, by HAProxy's numbers (check-t.h).
const (
	resultUnknown = 0
	resultFailed  = 2
	resultPassed  = 3
	resultCond    = 4

	checkConfigured = 2
	checkEnabled    = 4
	checkPaused     = 8
)

func checkResult(v *pool.View) int {
	switch {
	case !v.Checking || !v.Checked:
		return resultUnknown
	case v.Check.Status == pool.CheckL7OKC:
		return resultCond
	case v.Check.Status.Passed():
		return resultPassed
	default:
		return resultFailed
	}
}

func checkState(s *pool.Server, v *pool.View) int {
	switch {
	case !s.Check:
		return 0
	case !v.Checking:
		return checkConfigured
	case v.Admin.Maint():
		return checkConfigured | checkEnabled | checkPaused
	default:
		return checkConfigured | checkEnabled
	}
}

// connHeader names the columns of `show servers conn`. The connections kept open are not counted for
// each event loop, so there is one column for all.
const connHeader = "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[1]\n"

func showServersConn(c *session, args []string) string {
	return c.eachServer(args, connHeader, connLine)
}

// connLine counts a session as a connection in use, which it is for all but multiplexed protocols.
func connLine(s *pool.Server, _ time.Time) string {
	v := s.View()
	used, idle := s.Sessions.Load(), s.Idle.Load()
	return fmt.Sprintf("%s/%s %d/%d %s %d - 0 %d %d %d 0 %d -1 %d %d\n", s.Backend.Name, s.Name, s.Backend.ID, s.ID,
		addressOf(&v), portOf(&v), used, s.Sessions.Max(), used, idle, idle, idle)
}
