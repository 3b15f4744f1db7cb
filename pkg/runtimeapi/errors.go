package runtimeapi

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"waggle/pkg/stats"
)

// Malformed is a message that was refused because it is not HTTP.
type Malformed struct {
	At                        time.Time
	Event                     uint64
	Response                  bool
	Frontend, Backend, Server string // "" for none
	Src                       netip.AddrPort
	Reason                    string
	Size                      int // of the buffer it was in
	Data                      []byte
	Position                  int // of the byte that cannot be there
}

// captureTime is HAProxy's way to write the moment of a capture.
const captureTime = "02/Jan/2006:15:04:05.000"

// showErrors prints the last malformed messages as HAProxy does, [<id>|<proxy>] [request|response].
func showErrors(c *session, args []string) string {
	s := c.snapshot()
	only, which := "", word(args, 1)
	if name := word(args, 0); name != "" && name != "-1" {
		var ok bool
		if only, ok = proxyNamed(s, name); !ok {
			return "No such proxy.\n"
		}
	}
	var total uint64
	var all []Malformed
	if c.server.opts.Errors != nil {
		total, all = c.server.opts.Errors()
	}
	var out strings.Builder
	fmt.Fprintf(&out, "Total events captured on [%s] : %d\n", s.Now.Format(captureTime), total)
	for i := range all {
		m := &all[i]
		switch {
		case only != "" && only != m.Frontend && only != m.Backend:
		case which == "request" && m.Response, which == "response" && !m.Response:
		default:
			out.WriteString(m.text(s))
		}
	}
	return out.String()
}

// proxyNamed finds a proxy by its name or number; a number that there is not names nothing, as in HAProxy.
func proxyNamed(s *stats.Snapshot, name string) (string, bool) {
	for i := range s.Proxies {
		if p := &s.Proxies[i]; p.Name() == name || strconv.Itoa(p.ID()) == name {
			return p.Name(), true
		}
	}
	if _, err := strconv.Atoi(name); err == nil {
		return "#" + name, true
	}
	return "", false
}

// numberOf is the number of a proxy, -1 if there is none.
func numberOf(s *stats.Snapshot, name string) int {
	for i := range s.Proxies {
		if p := &s.Proxies[i]; name != "" && p.Name() == name {
			return p.ID()
		}
	}
	return -1
}

func serverID(s *stats.Snapshot, backend, name string) int {
	for i := range s.Proxies {
		be := s.Proxies[i].Backend
		if be == nil || be.Name != backend {
			continue
		}
		for _, srv := range be.Servers() {
			if srv.Name == name {
				return srv.ID
			}
		}
	}
	return -1
}

func named(name string, id int) string {
	if name == "" {
		name = "<NONE>"
	}
	return fmt.Sprintf("%s (#%d)", printable(name), id)
}

func (m *Malformed) text(s *stats.Snapshot) string {
	frontend, backend := named(m.Frontend, numberOf(s, m.Frontend)), named(m.Backend, numberOf(s, m.Backend))
	server := named(m.Server, serverID(s, m.Backend, m.Server))
	var out strings.Builder
	if m.Response {
		fmt.Fprintf(&out, " \n[%s] backend %s: invalid response\n  frontend %s", m.At.Format(captureTime), backend, frontend)
	} else {
		fmt.Fprintf(&out, " \n[%s] frontend %s: invalid request\n  backend %s", m.At.Format(captureTime), frontend, backend)
	}
	fmt.Fprintf(&out, ", server %s, event #%d, src %s\n", server, m.Event, m.Src)
	fmt.Fprintf(&out, "  buffer starts at 0 (including 0 out), %d free,\n  len %d, wraps at %d, error at position %d\n",
		max(0, m.Size-len(m.Data)), len(m.Data), m.Size, m.Position)
	fmt.Fprintf(&out, "  %s :\n  \n", m.Reason)
	dump(&out, m.Data)
	return out.String()
}

// dumpWidth is how many columns of a dump a line of it has.
const dumpWidth = 70

// dump writes bytes in lines that end where theirs do, each with its offset; a plus sign stands behind that of a line that goes
// on.
func dump(out *strings.Builder, data []byte) {
	for at := 0; at < len(data); {
		mark := byte(' ')
		if at > 0 && data[at-1] != '\n' {
			mark = '+'
		}
		fmt.Fprintf(out, "  %05d%c ", at, mark)
		for width := 0; at < len(data) && width < dumpWidth; {
			text := visible(data[at])
			out.WriteString(text)
			width += len(text)
			at++
			if data[at-1] == '\n' {
				break
			}
		}
		out.WriteString("\n")
	}
}

// visible is a byte as a dump shows it.
func visible(b byte) string {
	switch b {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	case '\\':
		return `\\`
	case 0x1b:
		return `\e`
	}
	if b < ' ' || b > '~' {
		return fmt.Sprintf(`\x%02X`, b)
	}
	return string(rune(b))
}
