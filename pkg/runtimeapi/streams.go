package runtimeapi

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"waggle/pkg/unixaddr"
)

// Stream is one session of the userspace path. Of its Flow, State is what it is doing, and there is no Idle.
type Stream struct {
	Flow
	HTTP              bool
	Expires           time.Duration // until a timeout; negative: none runs
	Requests, Retries int
	Status            int    // of the response, 0 if there is none
	Line              string // the request line, if it is kept
	Buffered          [4]int // bytes that wait: from the client, to it, from the server, to it
}

// notFound is HAProxy's word for a session that has gone.
const notFound = "Session not found.\n"

// showSess prints sessions of both paths in HAProxy's manner: `name=value` words behind an identifier; or all that is known
// of one.
func showSess(c *session, args []string) string {
	id, one := uint64(0), len(args) > 0 && args[0] != "all"
	if one {
		var ok bool
		if id, ok = parseID(args[0]); !ok {
			return notFound
		}
	}
	if c.server.opts.Sessions == nil {
		return ""
	}
	streams, more, err := c.streams(id, one)
	if err != nil {
		return "Cannot list sessions: " + err.Error() + ".\n"
	}
	f := flowFilter{max: max(maxFlows-len(streams), 1)}
	f.add(func(w *Flow) bool { return w.State != "closed" && (!one || w.ID == id) })
	flows, surplus, err := c.carried(f)
	if err != nil {
		return "Cannot list sessions: " + err.Error() + ".\n"
	}
	var out strings.Builder
	for i := range streams {
		s := &streams[i]
		if one {
			out.WriteString(s.details())
			continue
		}
		fmt.Fprintf(&out, "%s path=userspace state=%s age=%s exp=%s rq=%d in=%d out=%d\n", s.words(), s.State,
			s.Age.Round(time.Second), expiry(s.Expires), s.Requests, s.BytesIn, s.BytesOut)
	}
	for i := range flows {
		w := &flows[i]
		fmt.Fprintf(&out, "%s path=kernel state=%s age=%s idle=%s in=%d out=%d\n", w.words(), w.State,
			w.Age.Round(time.Second), w.Idle.Round(time.Second), w.BytesIn, w.BytesOut)
	}
	if more += surplus; more > 0 {
		fmt.Fprintf(&out, "# and %d more\n", more)
	}
	if one && out.Len() == 0 {
		return notFound
	}
	return out.String()
}

// streams collects those of the userspace path, the oldest first, and counts what found no room.
func (c *session) streams(id uint64, one bool) (all []Stream, more int, err error) {
	match := func(s *Stream) bool { return !one || s.ID == id }
	return oldestFirst(c.server.opts.Sessions.Streams, match, maxFlows, func(s *Stream) time.Duration { return s.Age })
}

// carried collects flows; without a kernel path there are none.
func (c *session) carried(f flowFilter) (flows []Flow, more int, err error) {
	flows, more, err = c.collectFlows(f)
	if errors.Is(err, ErrNoKernelPath) {
		err = nil
	}
	return flows, more, err
}

// words are the ones that sessions of both paths have.
func (w *Flow) words() string {
	proto := "tcpv4"
	switch client := w.Client.Addr().Unmap(); {
	case !client.IsValid():
		proto = "unix_stream"
	case client.Is6():
		proto = "tcpv6"
	}
	return fmt.Sprintf("0x%x: proto=%s src=%s fe=%s be=%s srv=%s dst=%s from=%s to=%s", w.ID, proto, end(w.Client), w.Frontend, w.Backend, w.Server,
		end(w.Front), known(w.Back), known(w.Task))
}

// end is a client's address or the frontend's; of a unix socket the number of the bind line is all there is.
func end(a netip.AddrPort) string {
	if !a.IsValid() {
		return fmt.Sprintf("unix:%d", a.Port())
	}
	return a.String()
}

// known is an address, or a dash while there is none.
func known(a netip.AddrPort) string {
	if !a.IsValid() {
		return "-"
	}
	return unixaddr.String(a)
}

func expiry(d time.Duration) string {
	if d < 0 {
		return ""
	}
	return d.Round(time.Second).String()
}

// details are several lines on one session.
func (s *Stream) details() string {
	mode := "tcp"
	if s.HTTP {
		mode = "http"
	}
	var out strings.Builder
	fmt.Fprintf(&out, "0x%x: source=%s age=%s exp=%s\n", s.ID, end(s.Client), s.Age.Round(time.Millisecond), expiry(s.Expires))
	fmt.Fprintf(&out, "  frontend=%s (mode=%s) addr=%s\n", s.Frontend, mode, end(s.Front))
	fmt.Fprintf(&out, "  backend=%s addr=%s\n", s.Backend, known(s.Back))
	fmt.Fprintf(&out, "  server=%s addr=%s conn_retries=%d\n", s.Server, known(s.Task), s.Retries)
	fmt.Fprintf(&out, "  state=%s requests=%d status=%d\n", s.State, s.Requests, s.Status)
	if s.Line != "" {
		fmt.Fprintf(&out, "  request=%s\n", strconv.Quote(s.Line))
	}
	fmt.Fprintf(&out, "  req: total=%d from_client=%d to_server=%d\n", s.BytesIn, s.Buffered[0], s.Buffered[3])
	fmt.Fprintf(&out, "  res: total=%d from_server=%d to_client=%d\n", s.BytesOut, s.Buffered[2], s.Buffered[1])
	return out.String()
}

func shutdownSession(c *session, args []string) string {
	if len(args) == 0 {
		return "Session pointer expected (use 'show sess').\n"
	}
	const none = "No such session (use 'show sess').\n"
	id, ok := parseID(args[0])
	if !ok || c.server.opts.Sessions == nil {
		return none
	}
	for _, end := range []func(uint64) (bool, error){c.server.opts.Sessions.ShutdownStream, c.server.opts.Sessions.ShutdownFlow} {
		found, err := end(id)
		switch {
		case err != nil:
			return "Cannot end the session: " + err.Error() + ".\n"
		case found:
			return ""
		}
	}
	return none
}
