package runtimeapi

import (
	"fmt"
	"net/netip"
	"strconv"

	"waggle/pkg/pool"
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
	if err != nil {
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

// setName would have a server follow another name. The names that discovery follows are the
// configuration's.
func setName(s *pool.Server, name string) string {
	switch {
	case name == "":
		return "set server <b>/<s> fqdn requires a FQDN.\n"
	case s.FQDN == "":
		return "set server <b>/<s> fqdn failed because no resolution is configured.\n"
	case s.FQDN == name:
		return fmt.Sprintf("no need to change the FDQN by '%s'\n", by)
	}
	return "'set server <srv> fqdn' is not supported by waggle: change the configuration.\n"
}
