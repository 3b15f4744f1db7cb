package sample

import (
	"encoding/binary"
	"strings"
)

// Situation is a Subject that knows the proxies of the process, and what goes on in them at this moment. ok is false where
// there is none of a name.
type Situation interface {
	FrontendNow(name string) (f FrontendNow, ok bool)        // "" is that of the connection
	BackendNow(name string) (b BackendNow, ok bool)          // "" is the one in use
	ServerNow(backend, server string) (s ServerNow, ok bool) // "" is the backend in use, both "" the server in use
}

// FrontendNow is a frontend at one moment.
type FrontendNow struct {
	ID                              int
	Sessions, SessionRate, Requests int64 // rates are of the last second
}

// BackendNow is a backend at one moment.
type BackendNow struct {
	ID                           int
	Sessions, SessionRate, Queue int64 // those that wait for one server are among those that wait
	Usable                       int64 // servers that would be given a request
	Free                         int64 // sessions that they would still take; -1 if one of them takes any number
	Slots                        int64 // the same with the places in their queues
}

// ServerNow is a server at one moment.
type ServerNow struct {
	ID                           int
	Sessions, SessionRate, Queue int64
	Free                         int64 // sessions that it would still take; -1 for any number
	Weight, Configured           int64 // of 0 to 256
	Up                           bool
}

func situationFetches() map[string]*fetch {
	frontend := func(of func(FrontendNow) int64) *fetch {
		return &fetch{out: Int, arg: argSpec{0, 1, parseFrontend}, do: func(e *evaluator, a *args) {
			if s, ok := e.subject.(Situation); ok {
				if f, ok := s.FrontendNow(a.name); ok {
					e.offer(integer(of(f)))
				}
			}
		}}
	}
	backend := func(of func(BackendNow) int64) *fetch {
		return &fetch{out: Int, arg: argSpec{0, 1, parseBackend}, do: func(e *evaluator, a *args) {
			if s, ok := e.subject.(Situation); ok {
				if b, ok := s.BackendNow(a.name); ok {
					e.offer(integer(of(b)))
				}
			}
		}}
	}
	server := func(of func(ServerNow) Value, out Type) *fetch {
		return &fetch{out: out, arg: argSpec{1, 1, parseServer}, do: func(e *evaluator, a *args) {
			if s, ok := e.subject.(Situation); ok {
				if srv, ok := s.ServerNow(a.texts[0], a.texts[1]); ok {
					e.offer(of(srv))
				}
			}
		}}
	}
	count := func(of func(ServerNow) int64) *fetch {
		return server(func(s ServerNow) Value { return integer(of(s)) }, Int)
	}
	return map[string]*fetch{
		"fe_conn":      frontend(func(f FrontendNow) int64 { return f.Sessions }),
		"fe_sess_rate": frontend(func(f FrontendNow) int64 { return f.SessionRate }),
		"fe_req_rate":  frontend(func(f FrontendNow) int64 { return f.Requests }),
		"be_conn":      backend(func(b BackendNow) int64 { return b.Sessions }),
		"be_conn_free": backend(func(b BackendNow) int64 { return b.Free }),
		"be_sess_rate": backend(func(b BackendNow) int64 { return b.SessionRate }),
		"connslots":    backend(func(b BackendNow) int64 { return b.Slots }),
		"queue":        backend(func(b BackendNow) int64 { return b.Queue }),
		"avg_queue":    backend(averageQueue),

		"srv_conn":      count(func(s ServerNow) int64 { return s.Sessions }),
		"srv_conn_free": count(func(s ServerNow) int64 { return s.Free }),
		"srv_sess_rate": count(func(s ServerNow) int64 { return s.SessionRate }),
		"srv_queue":     count(func(s ServerNow) int64 { return s.Queue }),
		"srv_weight":    count(func(s ServerNow) int64 { return s.Weight }),
		"srv_iweight":   count(func(s ServerNow) int64 { return s.Configured }),
		"srv_is_up":     server(func(s ServerNow) Value { return boolean(s.Up) }, Bool),

		"fe_id":  {out: Int, do: frontend(func(f FrontendNow) int64 { return int64(f.ID) }).do},
		"be_id":  {out: Int, from: fromBackend, do: backend(func(b BackendNow) int64 { return int64(b.ID) }).do},
		"srv_id": {out: Int, from: fromServer, do: count(func(s ServerNow) int64 { return int64(s.ID) }).do},

		"base32":     {out: Int, from: fromRequest, do: func(e *evaluator, _ *args) { e.offer(integer(int64(e.hashed(uriPath(e.subject.URI()))))) }},
		"url32":      {out: Int, from: fromRequest, do: func(e *evaluator, _ *args) { e.offer(integer(int64(e.hashed(e.subject.URI())))) }},
		"base32+src": {out: Binary, from: fromRequest, do: func(e *evaluator, _ *args) { e.hashedWithSource(uriPath(e.subject.URI())) }},
		"url32+src":  {out: Binary, from: fromRequest, do: func(e *evaluator, _ *args) { e.hashedWithSource(e.subject.URI()) }},
		"hostname":   {out: String, arg: argSpec{0, 0, parseHostname}, do: fetchConstant},
	}
}

// averageQueue is how many wait for each usable server, rounded up; without one all count twice (HAProxy's manual, avg_queue).
func averageQueue(b BackendNow) int64 {
	if b.Usable == 0 {
		return 2 * b.Queue
	}
	return (b.Queue + b.Usable - 1) / b.Usable
}

func parseFrontend(p *argParser) *Error {
	p.out.name = p.text(0)
	if p.out.name != "" && p.env.Frontend != nil {
		p.env.Frontend(p.out.name)
	}
	return nil
}

// parseServer reads `[<backend>/]<server>`.
func parseServer(p *argParser) *Error {
	backend, server, both := strings.Cut(p.text(0), "/")
	if !both {
		backend, server = "", backend
	}
	if server == "" {
		return errorf(0, "%s expects the name of a server, with or without its backend's and '/' before it", p.what)
	}
	p.out.texts[0], p.out.texts[1] = backend, server
	if p.env.Server != nil {
		p.env.Server(p.text(0))
	}
	return nil
}

func parseHostname(p *argParser) *Error {
	p.out.value = text(nil)
	if p.env.Hostname != nil {
		p.out.value = text([]byte(p.env.Hostname()))
	}
	return nil
}

// hashed is a hash over the host of the request and a part of its target (HAProxy's manual, base32 and url32).
func (e *evaluator) hashed(part []byte) uint32 {
	start := len(e.scratch)
	e.scratch = append(append(e.scratch, e.subject.Header("host")...), part...)
	h := avalanche(hashSDBM(e.scratch[start:]))
	e.scratch = e.scratch[:start]
	return h
}

// hashedWithSource is the same hash, the highest byte first, with the client's address behind it.
func (e *evaluator) hashedWithSource(part []byte) {
	h := e.hashed(part)
	start := len(e.scratch)
	e.scratch = binary.BigEndian.AppendUint32(e.scratch, h)
	if a := e.subject.Src().Addr(); a.IsValid() {
		e.scratch = append(e.scratch, a.AsSlice()...)
	}
	e.offerText(e.scratch[start:])
}
