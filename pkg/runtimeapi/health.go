package runtimeapi

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"waggle/pkg/pool"
	"waggle/pkg/unixaddr"
)

// by is who changes addresses here, as log lines and answers have it.
const by = "stats socket command"

// setHealth forces what the checks think of a server.
func setHealth(s *pool.Server, health string) string {
	if s.Tracks() != nil {
		return "cannot change health on a tracking server.\n"
	}
	switch health {
	case "up":
		s.SetHealth(pool.Running, pool.CauseCLI)
	case "stopping":
		s.SetHealth(pool.Stopping, pool.CauseCLI)
	case "down":
		s.SetHealth(pool.Stopped, pool.CauseCLI)
	default:
		return "'set server <srv> health' expects 'up', 'stopping', or 'down'.\n"
	}
	return ""
}

func enableHealth(s *pool.Server) string {
	if !s.SetChecking(true) {
		return "Health check was not configured on this server, cannot enable.\n"
	}
	return ""
}

func disableHealth(s *pool.Server) string {
	s.SetChecking(false)
	return ""
}

// setAddress changes where a server is: <ip> [port <port>]. The answer says what became of each.
func setAddress(s *pool.Server, args []string) string {
	if len(args) == 0 {
		return "set server <b>/<s> addr requires an address and optionally a port.\n"
	}
	addr, err := netip.ParseAddr(args[0])
	if err != nil || addr.Zone() != "" {
		return fmt.Sprintf("Invalid addr '%s' by '%s'\n", printable(args[0]), by)
	}
	v := s.View()
	if unixaddr.Is(v.Addr.Addr()) {
		return "Update for the current server address family is only supported through configuration file by '" + by + "'\n"
	}
	answer := "no need to change the addr"
	if old := v.Addr.Addr(); old != addr {
		answer = fmt.Sprintf("IP changed from '%s' to '%s'", orNone(old), addr)
	}
	port := v.Addr.Port()
	if word(args, 1) == "port" {
		n, err := strconv.ParseUint(word(args, 2), 10, 16)
		switch {
		case err != nil:
			return fmt.Sprintf("%s, problem converting port '%s' to an int by '%s'\n", answer, printable(word(args, 2)), by)
		case uint16(n) == port:
			answer += ", no need to change the port"
		default:
			answer += fmt.Sprintf(", port changed from '%d' to '%d'", port, n)
			port = uint16(n)
		}
	}
	s.SetAddr(addr, port, by)
	return fmt.Sprintf("%s by '%s'\n", answer, by)
}

func orNone(a netip.Addr) string {
	if !a.IsValid() {
		return "(none)"
	}
	return a.Unmap().String()
}

func setCheckPort(s *pool.Server, text string) string {
	if !s.Check {
		return "health checks are not enabled on this server"
	}
	if text == "" {
		return "set server <b>/<s> check-port requires a port.\n"
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return "provided port is not an integer"
	case n < 0 || n > 65535:
		return "provided port is invalid"
	}
	target := s.View().CheckTarget
	target.Port = uint16(n)
	s.SetCheckTarget(target)
	return ""
}

// setCheckAddress changes where checks go to: <ip> [port <port>].
func setCheckAddress(s *pool.Server, args []string) string {
	if !s.Check {
		return "health checks are not enabled on this server"
	}
	addr, err := netip.ParseAddr(word(args, 0))
	if err != nil || addr.Zone() != "" {
		return "set server <b>/<s> check-addr requires an address and optionally a port.\n"
	}
	if word(args, 1) == "port" {
		if answer := setCheckPort(s, word(args, 2)); answer != "" {
			return answer
		}
	}
	target := s.View().CheckTarget
	target.Addr = addr
	s.SetCheckTarget(target)
	return ""
}

// setName has a server be found by another name, until the configuration names another one.
func setName(c *session, s *pool.Server, name string) string {
	was := s.View().FQDN
	switch {
	case name == "":
		return "set server <b>/<s> fqdn requires a FQDN.\n"
	case strings.HasPrefix(was, "_"):
		return "set server <b>/<s> fqdn failed because SRV resolution is configured.\n"
	case c.server.opts.Control == nil || !s.Followed():
		return "set server <b>/<s> fqdn failed because no resolution is configured.\n"
	case !isName(name):
		return fmt.Sprintf("invalid fqdn '%s' by '%s'\n", printable(name), by)
	case was == name:
		return fmt.Sprintf("no need to change the FDQN by '%s'\n", by)
	}
	if strings.Contains(name, "..") || c.server.opts.Control.SetName(s, name, by) != nil {
		return fmt.Sprintf("could not update %s/%s FQDN by '%s'\n", s.Backend.Name, s.Name, by)
	}
	return fmt.Sprintf("%s/%s changed its FQDN from %s to %s by '%s'\n", s.Backend.Name, s.Name, was, name, by)
}

// isName says whether a name has what the servers of a backend can be found by: labels of letters, digits, '-' and '_', of
// 63 bytes at most, 253 in all (RFC 1035, section 2.3.4). Names of service records, which begin with '_', have no single
// server to give.
func isName(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 || strings.HasPrefix(name, "_") {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		odd := func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
		}
		if len(label) > 63 || strings.ContainsFunc(label, odd) {
			return false
		}
	}
	return true
}
