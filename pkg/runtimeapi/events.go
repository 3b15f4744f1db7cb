package runtimeapi

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"waggle/pkg/accesslog"
)

func eventCommands() []command {
	return []command{
		{[]string{"show", "events"}, Operator, "show events [<ring>] [-w] [-n] [-0]", "log lines in a ring; -w: wait for more until a key is pressed, -n: only new ones, -0: each ends in NUL", showEvents},
	}
}

// eventOptions are the letters behind the name of a ring.
type eventOptions struct{ wait, fresh, nul bool }

func parseEventOptions(args []string) (o eventOptions, ok bool) {
	for _, word := range args {
		letters, dash := strings.CutPrefix(word, "-")
		if !dash || letters == "" {
			return o, false
		}
		for _, l := range letters {
			switch l {
			case 'w':
				o.wait = true
			case 'n':
				o.fresh = true
			case '0':
				o.nul = true
			default:
				return o, false
			}
		}
	}
	return o, true
}

// showEvents lists the rings, or prints the lines of one as HAProxy does.
func showEvents(c *session, args []string) string {
	var rings []*accesslog.Ring
	if c.server.opts.Rings != nil {
		rings = c.server.opts.Rings()
	}
	if len(args) == 0 {
		return listRings(rings)
	}
	i := slices.IndexFunc(rings, func(r *accesslog.Ring) bool { return r.Name() == args[0] })
	if i < 0 {
		return "No such event sink"
	}
	o, ok := parseEventOptions(args[1:])
	if !ok {
		return "unknown option"
	}
	e := &eventReader{ring: rings[i], end: "\n"}
	if o.fresh {
		e.at = e.ring.Newest()
	}
	if o.nul {
		e.end = "\x00"
	}
	c.follow = func(write func(string) bool) bool {
		if !e.print(write, e.ring.Newest()) { // whoever logs faster than the client reads does not keep it here
			return false
		}
		return !o.wait || c.in == nil || c.followEvents(e, write)
	}
	return ""
}

// eventReader is a client's place in a ring.
type eventReader struct {
	ring *accesslog.Ring
	at   accesslog.Cursor
	end  string // of each line
}

// eventChunk is about how much is written at once: a ring may be large.
const eventChunk = 16 << 10

// print writes the lines up to a place; false says that the client has gone.
func (e *eventReader) print(write func(string) bool, until accesslog.Cursor) bool {
	var chunk []byte
	for e.at.Before(until) {
		chunk = chunk[:0]
		for len(chunk) < eventChunk && e.at.Before(until) {
			text, _, next, ok := e.ring.Next(e.at, chunk)
			if !ok {
				break
			}
			chunk, e.at = append(text, e.end...), next
		}
		if !write(string(chunk)) {
			return false
		}
	}
	return true
}

// followEvents writes lines as they come, until the client sends something, closes its side, or has to go. It returns
// false when the client has gone.
func (c *session) followEvents(e *eventReader, write func(string) bool) bool {
	c.conn.SetReadDeadline(time.Time{})
	typed := make(chan struct{})
	go func() {
		defer close(typed)
		_, _ = c.in.Peek(1) // what has been sent is the next command
	}()
	defer func() {
		c.conn.SetReadDeadline(time.Unix(1, 0))
		<-typed
	}()
	for {
		select {
		case <-typed:
			return true
		case <-c.ctx.Done():
			return false
		case <-e.ring.More(e.at):
			if !e.print(write, e.ring.Newest()) {
				return false
			}
		}
	}
}

func listRings(rings []*accesslog.Ring) string {
	var out strings.Builder
	out.WriteString("Supported events sinks are listed below. Add -w(wait), -n(new). Any key to stop\n")
	for _, r := range rings {
		fmt.Fprintf(&out, "    %-10s : type=buffer, %d dropped, %s\n", r.Name(), r.Dropped(), printable(r.Description()))
	}
	return out.String()
}
