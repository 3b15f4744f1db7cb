package proxy

import (
	"context"
	"net/netip"
	"unsafe"

	"waggle/pkg/proxy/sock"
)

// LoopInfo is one event loop as it was when it looked.
type LoopInfo struct {
	Counters []Counter
	Stores   []Store
	Files    []File
}

// Counter is something that a loop counts; the name is that of `show activity` of HAProxy where that has one.
type Counter struct {
	Name  string
	Value uint64
}

// Store is memory that a loop keeps for one kind of thing, to be used again and again.
type Store struct {
	Name  string
	Size  int // bytes of each one, without what it has grown
	Used  int
	Spare int // kept for later use
}

// File is one open descriptor of a loop.
type File struct {
	FD       int
	Kind     string // ListenerFile …
	Frontend string
	Backend  string
	Server   string
	Local    netip.AddrPort // of a listener
	Paused   bool           // a listener that accepts nothing now
	HTTP     bool
	Adapter  bool // the other end is an adapter of this process, which speaks TLS or HTTP/2
}

// The kinds of descriptors.
const (
	ListenerFile = "listener"
	ClientFile   = "client"
	ServerFile   = "server"
	IdleFile     = "idle" // a connection to a server that is kept for reuse
)

// Look has each loop tell about itself. An error says that one does not answer.
func (e *Engine) Look(ctx context.Context) ([]LoopInfo, error) {
	var all []LoopInfo
	for _, w := range e.workers {
		info := make(chan LoopInfo, 1)
		if err := e.visit(ctx, w, func() { info <- w.look() }); err != nil {
			return nil, err
		}
		all = append(all, <-info)
	}
	return all, nil
}

// look runs on the loop.
func (w *worker) look() LoopInfo {
	n := w.loop.Counts()
	info := LoopInfo{Counters: []Counter{
		{"loops", n.Rounds}, {"wake_signal", n.Woken}, {"poll_io", n.Busy}, {"poll_exp", n.Idle}, {"events", n.Events}, {"posted", n.Posted},
		{"accepted", w.took}, {"sessions", uint64(w.live)},
	}}
	for _, l := range w.listeners {
		if l.fd >= 0 {
			info.Files = append(info.Files, File{FD: l.fd, Kind: ListenerFile, Frontend: l.fe.cfg.Name, Local: sock.LocalAddr(l.fd),
				Paused: l.paused || l.silent, HTTP: l.fe.cfg.HTTP})
		}
	}
	links, busy := 0, 0
	for s := w.sessions; s != nil; s = s.next {
		if s.client.fd >= 0 && s.client.lane == nil && s.fe != nil {
			info.Files = append(info.Files, File{FD: s.client.fd, Kind: ClientFile, Frontend: s.fe.cfg.Name, HTTP: s.fe.cfg.HTTP, Adapter: s.client.peer != nil})
		}
		if s.transaction == nil {
			continue
		}
		busy++
		if l := s.link; l != nil && l.fd >= 0 {
			links++
			info.Files = append(info.Files, l.file(ServerFile, s.fe != nil && s.fe.cfg.HTTP))
		}
	}
	for m := range w.muxes {
		info.Files = append(info.Files, File{FD: m.c.fd, Kind: ClientFile, Frontend: m.g.fe.cfg.Name, HTTP: true, Adapter: m.c.peer != nil})
	}
	for _, list := range w.idle.byServer {
		for l := list.oldest; l != nil; l = l.newer {
			info.Files = append(info.Files, l.file(IdleFile, true))
		}
	}
	pipes := int(w.pipes.made.Load()) - len(w.pipes.free)
	info.Stores = []Store{
		{Name: "session", Size: int(unsafe.Sizeof(session{})), Used: w.live, Spare: len(w.ended.list)},
		{Name: "transaction", Size: int(unsafe.Sizeof(transaction{})), Used: busy, Spare: len(w.transactions.list)},
		{Name: "connection", Size: int(unsafe.Sizeof(link{})), Used: links + w.idle.total, Spare: len(w.idle.spare)},
		{Name: "buffer", Size: w.buffers.size, Used: w.buffers.lent(), Spare: len(w.buffers.free.list)},
		{Name: "pipe", Size: int(unsafe.Sizeof(sock.Pipe{})), Used: pipes, Spare: len(w.pipes.free)},
	}
	return info
}

func (l *link) file(kind string, http bool) File {
	return File{FD: l.fd, Kind: kind, Backend: l.server.Backend.Name, Server: l.server.Name, HTTP: http, Adapter: l.peer != nil}
}

// lent is how many buffers are held by somebody.
func (s *buffers) lent() int {
	all := 0
	for _, slab := range s.slabs {
		all += len(slab) / s.stride()
	}
	return all - len(s.cold) - len(s.free.list)
}
