package runtimeapi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"waggle/pkg/pool"
)

// ErrStateVersion is that of a file which is not what `show servers state` prints.
var ErrStateVersion = errors.New("it does not begin with a version that is known, which is 1")

// stateFields is the least number of columns in a line; versions of HAProxy before 2.4 have no more.
const stateFields = 20

// ReadServersState reads what `show servers state` of waggle or HAProxy printed. A line that cannot be read is passed by
// and among the problems, a sentence each. The error is that of a file that cannot be read at all.
func ReadServersState(r io.Reader) (servers []pool.SavedServer, problems []string, err error) {
	lines := bufio.NewScanner(r)
	if !lines.Scan() || strings.TrimSpace(lines.Text()) != "1" {
		return nil, nil, errors.Join(lines.Err(), ErrStateVersion)
	}
	for n := 2; lines.Scan(); n++ {
		text := lines.Text()
		if strings.HasPrefix(text, "#") || strings.TrimSpace(text) == "" {
			continue
		}
		s, err := readStateLine(strings.Fields(text))
		if err != nil {
			problems = append(problems, fmt.Sprintf("line %d: %v", n, err))
			continue
		}
		servers = append(servers, s)
	}
	return servers, problems, lines.Err()
}

// stateReader takes a line apart; the first thing that is wrong with it stays.
type stateReader struct {
	words []string
	err   error
}

func readStateLine(words []string) (pool.SavedServer, error) {
	if len(words) < stateFields {
		return pool.SavedServer{}, fmt.Errorf("%d columns, at least %d are expected", len(words), stateFields)
	}
	const seconds = int64(1<<62) / int64(time.Second)
	r := stateReader{words: words}
	check, agent := r.number(13, "srv_check_state", 255), r.number(14, "srv_agent_state", 255)
	s := pool.SavedServer{
		Backend: words[1], Server: words[3], FQDN: words[17],
		Addr:       netip.AddrPortFrom(r.address(4, "srv_addr"), r.port(18, "srv_port")),
		Op:         pool.OpState(r.number(5, "srv_op_state", int64(pool.Stopping))),
		Admin:      pool.Admin(r.number(6, "srv_admin_state", 127)) & pool.KnownAdmin,
		Weight:     int(r.number(7, "srv_uweight", pool.MaxWeight)),
		Configured: int(r.number(8, "srv_iweight", pool.MaxWeight)),
		Since:      time.Duration(r.number(9, "srv_time_since_last_change", seconds)) * time.Second,
		Check:      checkOf(int(r.number(10, "srv_check_status", int64(pool.CheckProcOK)+1))),
		Checked:    r.number(11, "srv_check_result", resultCond) > resultUnknown,
		Health:     int(r.number(12, "srv_check_health", 1<<31)),
		Watched:    check&checkConfigured != 0 || agent&checkConfigured != 0,
		CheckOff:   check&(checkConfigured|checkEnabled) == checkConfigured,
		AgentOff:   agent&(checkConfigured|checkEnabled) == checkConfigured,
	}
	if s.FQDN == "-" {
		s.FQDN = ""
	}
	if record := words[19]; record != "-" {
		s.FQDN = record
	}
	s.CheckTarget = pool.CheckTarget{Addr: r.address(22, "srv_check_addr"), Port: r.port(21, "srv_check_port")}
	s.AgentTarget = pool.AgentTarget{Addr: r.address(23, "srv_agent_addr"), Port: r.port(24, "srv_agent_port")}
	return s, r.err
}

func (r *stateReader) fail(i int, name string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s is %q", name, r.words[i])
	}
}

// number reads a column that holds 0 to high; one that older versions do not have is 0.
func (r *stateReader) number(i int, name string, high int64) int64 {
	if i >= len(r.words) {
		return 0
	}
	n, err := strconv.ParseInt(r.words[i], 10, 64)
	if err != nil || n < 0 || n > high {
		r.fail(i, name)
		return 0
	}
	return n
}

func (r *stateReader) port(i int, name string) uint16 { return uint16(r.number(i, name, 65535)) }

// address reads a column that holds an address, or "-" for none.
func (r *stateReader) address(i int, name string) netip.Addr {
	if i >= len(r.words) || r.words[i] == "-" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(r.words[i])
	if err != nil || a.Zone() != "" {
		r.fail(i, name)
	}
	return a.Unmap()
}
