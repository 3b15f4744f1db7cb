package runtimeapi

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"waggle/pkg/pool"
)

// Flow is one connection that the kernel path carries.
type Flow struct {
	ID                        uint64 // no two flows of a process have the same
	Frontend, Backend, Server string
	Client, Front, Back, Task netip.AddrPort // the client connected to Front; Back connected to the server's Task
	State                     string         // half-open, established or closed
	Age, Idle                 time.Duration
	BytesIn, BytesOut         uint64 // payload from and to the client
}

// Sessions is what the API knows of single connections and can do to them.
type Sessions interface {
	// Flows calls yield for each flow of the kernel path, in no order, until it returns false.
	Flows(yield func(Flow) bool) error
	// Streams calls yield for each session of the userspace path, in no order, until it returns false.
	Streams(yield func(Stream) bool) error
	// ShutdownServer ends all sessions of a server on both paths.
	ShutdownServer(*pool.Server) error
	// ShutdownFlow ends one flow of the kernel path; false if there is none with this ID.
	ShutdownFlow(id uint64) (bool, error)
	// ShutdownStream ends one session of the userspace path; false if there is none with this ID.
	ShutdownStream(id uint64) (bool, error)
}

// ErrNoKernelPath is what [Sessions.Flows] returns when there is no kernel path.
var ErrNoKernelPath = errors.New("the kernel path is off")

func flowCommands() []command {
	return []command{
		{[]string{"show", "flows"}, Operator, "show flows [<filter> <value>]* [max <n>] [json]",
			"connections of the kernel path; filters: frontend backend server client state", showFlows},
		{[]string{"show", "sess"}, Operator, "show sess [<id>|all]", "sessions of both paths, or all about one", showSess},
		{[]string{"shutdown", "sessions", "server"}, Admin, "shutdown sessions server <bk>/<srv>", "end a server's sessions", shutdownServer},
		{[]string{"shutdown", "session"}, Admin, "shutdown session <id>", "end a session that 'show sess' lists", shutdownSession},
	}
}

const (
	// defaultFlows and maxFlows bound an answer: it is put together in memory, and the table may hold millions.
	defaultFlows = 1000
	maxFlows     = 100000
)

// flowFilter is what a listing is narrowed to.
type flowFilter struct {
	conditions []func(*Flow) bool
	max        int
	json       bool
}

// parseFlowFilter reads pairs of words; the message is empty if they are understood.
func parseFlowFilter(args []string) (f flowFilter, msg string) {
	f.max = defaultFlows
	for len(args) > 0 {
		if args[0] == "json" {
			f.json, args = true, args[1:]
			continue
		}
		if len(args) == 1 {
			return f, "'" + printable(args[0]) + "' expects a value.\n"
		}
		name, value := args[0], args[1]
		args = args[2:]
		switch name {
		case "frontend":
			f.add(func(w *Flow) bool { return w.Frontend == value })
		case "backend":
			f.add(func(w *Flow) bool { return w.Backend == value })
		case "server":
			f.add(func(w *Flow) bool { return w.Server == value || w.Backend+"/"+w.Server == value })
		case "state":
			if !slices.Contains([]string{"half-open", "established", "closed"}, value) {
				return f, "'state' expects 'half-open', 'established' or 'closed'.\n"
			}
			f.add(func(w *Flow) bool { return w.State == value })
		case "client":
			if msg := f.addClient(value); msg != "" {
				return f, msg
			}
		case "max":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > maxFlows {
				return f, fmt.Sprintf("'max' expects a number from 1 to %d.\n", maxFlows)
			}
			f.max = n
		default:
			return f, "Unknown filter '" + printable(name) + "': expects frontend, backend, server, client, state or max.\n"
		}
	}
	return f, ""
}

func (f *flowFilter) add(condition func(*Flow) bool) { f.conditions = append(f.conditions, condition) }

// addClient takes an address, an address with port, or a network.
func (f *flowFilter) addClient(value string) (msg string) {
	if ap, err := netip.ParseAddrPort(value); err == nil {
		f.add(func(w *Flow) bool { return w.Client == ap })
		return ""
	}
	if addr, err := netip.ParseAddr(value); err == nil {
		f.add(func(w *Flow) bool { return w.Client.Addr() == addr })
		return ""
	}
	if network, err := netip.ParsePrefix(value); err == nil {
		f.add(func(w *Flow) bool { return network.Contains(w.Client.Addr()) })
		return ""
	}
	return "'client' expects an address, with a port or a prefix length if you like.\n"
}

func (f *flowFilter) match(w *Flow) bool {
	return !slices.ContainsFunc(f.conditions, func(c func(*Flow) bool) bool { return !c(w) })
}

// flows collects those that match, the oldest first, and counts the ones that found no room in the answer. The
// message is empty if that worked.
func (c *session) flows(f flowFilter) ([]Flow, int, string) {
	if c.server.opts.Sessions == nil {
		return nil, 0, "The kernel path is off: there are no flows.\n"
	}
	flows, more, err := c.collectFlows(f)
	if err != nil {
		return nil, 0, "Cannot list flows: " + err.Error() + ".\n"
	}
	return flows, more, ""
}

// collectFlows is flows with an error of the kernel path.
func (c *session) collectFlows(f flowFilter) (flows []Flow, more int, err error) {
	return oldestFirst(c.server.opts.Sessions.Flows, f.match, f.max, func(w *Flow) time.Duration { return w.Age })
}

// oldestFirst collects those that match of all that each yields, at most max, and counts the others.
func oldestFirst[T any](each func(func(T) bool) error, match func(*T) bool, max int, age func(*T) time.Duration) (list []T, more int, err error) {
	err = each(func(one T) bool {
		switch {
		case !match(&one):
		case len(list) < max:
			list = append(list, one)
		default:
			more++
		}
		return true
	})
	slices.SortStableFunc(list, func(a, b T) int { return int(age(&b)/time.Millisecond) - int(age(&a)/time.Millisecond) })
	return list, more, err
}

// showFlows prints a table for people, one flow a line.
func showFlows(c *session, args []string) string {
	f, msg := parseFlowFilter(args)
	if msg != "" {
		return msg
	}
	flows, more, msg := c.flows(f)
	if msg != "" {
		return msg
	}
	if f.json {
		return flowsJSON(flows, more)
	}
	var out strings.Builder
	out.WriteString("# id frontend backend/server client front back task state age idle bytes_in bytes_out\n")
	for i := range flows {
		w := &flows[i]
		fmt.Fprintf(&out, "0x%x %s %s/%s %s %s %s %s %s %s %s %d %d\n", w.ID, w.Frontend, w.Backend, w.Server,
			w.Client, w.Front, w.Back, w.Task, w.State, w.Age.Round(time.Second), w.Idle.Round(time.Second), w.BytesIn, w.BytesOut)
	}
	if more > 0 {
		fmt.Fprintf(&out, "# and %d more: narrow it down, or raise 'max' (up to %d)\n", more, maxFlows)
	}
	return out.String()
}

func parseID(word string) (uint64, bool) {
	id, err := strconv.ParseUint(strings.TrimPrefix(word, "0x"), 16, 64)
	return id, err == nil
}

func shutdownServer(c *session, args []string) string {
	s, _, msg := c.target(args)
	switch {
	case msg != "":
		return msg
	case c.server.opts.Sessions == nil:
		return "Sessions cannot be ended here.\n"
	}
	if err := c.server.opts.Sessions.ShutdownServer(s); err != nil {
		return "Cannot end all sessions: " + err.Error() + ".\n"
	}
	return ""
}
