package runtimeapi

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Loop is one event loop of the userspace path, as it was when it looked.
type Loop struct {
	Counters []Counter
	Stores   []Store
	Files    []File
}

// Counter is something that a loop counts.
type Counter struct {
	Name  string
	Value uint64
}

// Store is memory that a loop keeps for one kind of thing.
type Store struct {
	Name  string
	Size  int // bytes of each one, without what it has grown
	Used  int
	Spare int // kept for later use
}

// File is one descriptor of a loop.
type File struct {
	FD                        int
	Kind                      string // listener, client, server, or idle for one to a server that is kept
	Frontend, Backend, Server string // "" where there is none
	Local                     netip.AddrPort
	Paused, HTTP              bool
	Adapter                   bool // TLS or HTTP/2 is spoken behind it
}

// insideCommands tell of the process's own machinery, in the form of HAProxy's answers.
func insideCommands() []command {
	return []command{
		{[]string{"show", "activity"}, Operator, "show activity", "what the event loops have done: their sum, and each one", showActivity},
		{[]string{"show", "pools"}, Operator, "show pools", "memory that the event loops keep, and the Go runtime's", showPools},
		{[]string{"show", "fd"}, Operator, "show fd [<number>]", "open descriptors, and what they are for", showFD},
	}
}

func (c *session) loops() ([]Loop, string) {
	if c.server.opts.Loops == nil {
		return nil, ""
	}
	all, err := c.server.opts.Loops()
	if err != nil {
		return nil, "Cannot ask the event loops: " + err.Error() + ".\n"
	}
	return all, ""
}

// showActivity prints the sum of a counter, and its value in each loop.
func showActivity(c *session, _ []string) string {
	loops, msg := c.loops()
	if msg != "" {
		return msg
	}
	now := time.Now()
	var out strings.Builder
	fmt.Fprintf(&out, "thread_id: %d (1..%d)\ndate_now: %d.%06d\n", len(loops), len(loops), now.Unix(), now.Nanosecond()/1000)
	if len(loops) == 0 {
		return out.String()
	}
	for i, counter := range loops[0].Counters {
		sum, each := uint64(0), ""
		for _, l := range loops {
			sum += l.Counters[i].Value
			each += " " + strconv.FormatUint(l.Counters[i].Value, 10)
		}
		fmt.Fprintf(&out, "%s: %d [%s ]\n", counter.Name, sum, each)
	}
	return out.String()
}

func showPools(c *session, _ []string) string {
	loops, msg := c.loops()
	if msg != "" {
		return msg
	}
	var out strings.Builder
	out.WriteString("Dumping pools usage.\n")
	kinds, held, lent, spared := 0, 0, 0, 0
	if len(loops) > 0 {
		for i, kind := range loops[0].Stores {
			used, spare := 0, 0
			for _, l := range loops {
				used, spare = used+l.Stores[i].Used, spare+l.Stores[i].Spare
			}
			all := used + spare
			fmt.Fprintf(&out, "  - Pool %s (%d bytes) : %d allocated (%d bytes), %d used (~%d by thread caches), 0 failures, %d users\n",
				kind.Name, kind.Size, all, all*kind.Size, all, spare, len(loops))
			kinds, held, lent, spared = kinds+1, held+all*kind.Size, lent+all*kind.Size, spared+spare*kind.Size
		}
	}
	fmt.Fprintf(&out, "Total: %d pools, %d bytes allocated, %d used (~%d by thread caches).\n", kinds, held, lent, spared)
	m := c.snapshot().Process.Memory
	fmt.Fprintf(&out, "Go runtime: %d bytes from the system, %d bytes of live objects.\n", m.Total, m.Used)
	return out.String()
}

// showFD prints a line for each descriptor of the process. What is not the event loops' is told by the kernel's own word.
func showFD(c *session, args []string) string {
	loops, msg := c.loops()
	if msg != "" {
		return msg
	}
	known := map[int]string{}
	for i, l := range loops {
		for _, f := range l.Files {
			known[f.FD] = f.words(i)
		}
	}
	only := -1
	if len(args) > 0 {
		var err error
		if only, err = strconv.Atoi(args[0]); err != nil {
			return "Invalid file descriptor.\n"
		}
	}
	numbers, err := descriptors()
	if err != nil {
		return "Cannot list descriptors: " + err.Error() + ".\n"
	}
	var out strings.Builder
	for _, fd := range numbers {
		if only >= 0 && fd != only {
			continue
		}
		what := known[fd]
		if what == "" {
			link, err := os.Readlink(filepath.Join(descriptorDir, strconv.Itoa(fd)))
			if err != nil {
				continue // closed since
			}
			what = "what=" + printable(link)
		}
		fmt.Fprintf(&out, "%7d : %s\n", fd, what)
	}
	return out.String()
}

const descriptorDir = "/proc/self/fd"

// descriptors returns the numbers of the open descriptors, in order.
func descriptors() ([]int, error) {
	entries, err := os.ReadDir(descriptorDir)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// words are in HAProxy's manner: l.st and lport of a listener; back=0 of a client's connection, back=1 of a server's.
func (f *File) words(loop int) string {
	family, mux, transport := "ipv4", "PASS", "RAW"
	if f.Local.Addr().Is6() && !f.Local.Addr().Is4In6() {
		family = "ipv6"
	}
	if f.HTTP {
		mux = "H1"
	}
	if f.Adapter {
		transport = "ADAPTER"
	}
	switch f.Kind {
	case "listener":
		state := "RDY"
		if f.Paused {
			state = "FUL"
		}
		return fmt.Sprintf("loop=%d l.st=%s fe=%s fam=%s lport=%d", loop+1, state, f.Frontend, family, f.Local.Port())
	case "client":
		return fmt.Sprintf("loop=%d back=0 fe=%s mux=%s xprt=%s", loop+1, f.Frontend, mux, transport)
	}
	return fmt.Sprintf("loop=%d back=1 px=%s sv=%s mux=%s xprt=%s state=%s", loop+1, f.Backend, f.Server, mux, transport, f.Kind)
}
