package proxy

import (
	"cmp"
	"fmt"
	"strings"

	"waggle/pkg/config"
	"waggle/pkg/proxy/h1"
	"waggle/pkg/userlist"
)

// The stats page and the exporter may walk thousands of servers, so they never run on a loop.
const (
	serviceWorkers = 2
	maxServices    = 64 // requests that wait for a worker; more get 503
)

// serve is the body of a service goroutine.
func (e *Engine) serve() {
	for {
		select {
		case <-e.quit:
			return
		case job := <-e.services:
			job()
		}
	}
}

// servePage has the stats page of p answered.
func (s *session) servePage(p *config.Proxy) outcome {
	var rule *config.StatsRule
	for i := range p.Stats.Rules {
		holds, waits := s.judge(p.Stats.Rules[i].Cond)
		if waits {
			return waiting
		}
		if holds {
			rule = &p.Stats.Rules[i]
			break
		}
	}
	admin := false
	for i := 0; i < len(p.Stats.Admin) && !admin; i++ {
		var waits bool
		if admin, waits = s.judge(p.Stats.Admin[i].Cond); waits {
			return waiting
		}
	}
	s.feShard().Intercepted.Add(1)
	s.serveBy("<STATS>")
	page := s.w.e.setup.Page
	switch {
	case page == nil:
		s.answer(503)
	case rule != nil && rule.Action == "deny":
		s.terminate('P', 'R')
		s.answer(403)
	case rule != nil && rule.Action == "auth":
		s.terminate('L', 'R')
		s.served(passwordPlease(cmp.Or(rule.Realm, config.StatsRealm)))
	default:
		s.handOut(func(r ServiceRequest) ServiceResponse {
			r.Admin = admin
			return page(p, r)
		})
	}
	return answered
}

// passwordPlease asks for one by HTTP Basic authentication (RFC 7617).
func passwordPlease(realm string) ServiceResponse {
	return ServiceResponse{Status: 401, Header: [][2]string{
		{"www-authenticate", userlist.Challenge(realm)}, {"content-type", "text/html"}, {"cache-control", "no-cache"},
	}, Body: h1.AppendErrorPage(nil, 401)}
}

// serveMetrics has the exporter answer.
func (s *session) serveMetrics() {
	s.serveBy("<PROMEX>")
	if s.w.e.setup.Exporter == nil {
		s.answer(503)
		return
	}
	s.handOut(s.w.e.setup.Exporter)
}

// serveBy has something of our own answer the request. In the log it stands where a server does, reached at once, as HAProxy has it
// (seen on 2.6).
func (s *session) serveBy(name string) {
	s.service = name
	now := s.w.loop.Now()
	s.clock.queued, s.clock.assigned, s.clock.connected, s.clock.response = now, now, now, now
}

// handOut has a service goroutine answer once the body, if it fits the buffer, has come: forms are small.
func (s *session) handOut(handler func(ServiceRequest) ServiceResponse) {
	s.terminate('L', 'R')
	s.chooseCoding()
	s.handler = handler
	s.phase = gathering
}

// gather waits for the body of a request to a service.
func (s *session) gather() step {
	want := s.headLen
	if s.req.Framing == h1.BodyLength && s.req.ContentLength <= int64(s.w.buffers.size-s.headLen) {
		want += int(s.req.ContentLength)
	}
	if s.client.in.len() < want {
		if !s.client.fill() && !s.client.eof { // the end may have been read while a password was checked
			return stuck
		}
		if s.client.eof {
			s.clientGone()
		} else {
			s.req.Rebase(s.client.in.bytes())
		}
		return moved
	}
	r := s.serviceRequest()
	if want > s.headLen {
		s.taken, s.up.open = want, false
	}
	s.launch(r)
	return moved
}

// launch gives the request to a service goroutine; the answer comes back by a post.
func (s *session) launch(r ServiceRequest) {
	handler := s.handler
	s.handler = nil
	s.phase = serving
	turn, w, e := s.turn, s.w, s.w.e
	job := func() {
		resp := guarded(handler, r, e)
		w.loop.Post(func() {
			if s.phase == serving && s.turn == turn {
				s.served(resp)
				s.advance()
			}
		})
	}
	select {
	case e.services <- job:
	default:
		s.answer(503)
	}
}

// guarded keeps a fault in a page from taking the connections of all clients with it.
func guarded(handler func(ServiceRequest) ServiceResponse, r ServiceRequest, e *Engine) (resp ServiceResponse) {
	defer func() {
		if fault := recover(); fault != nil {
			e.log.Error("a page could not be made", "uri", r.URI, "fault", fmt.Sprint(fault))
			resp = ServiceResponse{Status: 500}
		}
	}()
	return handler(r)
}

func (s *session) serviceRequest() ServiceRequest {
	r := ServiceRequest{
		Method: string(s.req.MethodBytes()),
		URI:    string(s.req.Target()),
		Fields: make([][2]string, 0, s.req.NumFields()),
	}
	for i := range s.req.NumFields() {
		name, value := s.req.Field(i)
		r.Fields = append(r.Fields, [2]string{string(name), string(value)})
	}
	if body := s.client.in.bytes()[s.headLen:]; s.req.Framing == h1.BodyLength {
		r.Body = append(r.Body, body[:min(int64(len(body)), s.req.ContentLength)]...)
	}
	return r
}

// served turns a service's answer into the response.
func (s *session) served(resp ServiceResponse) {
	var fields strings.Builder
	contentType := ""
	for _, f := range resp.Header {
		if equalFold(f[0], "content-type") {
			contentType = f[1]
			continue
		}
		fields.WriteString(f[0] + ": " + f[1] + "\r\n")
	}
	body := resp.Body
	if coded, ok := s.compressPage(&resp, contentType); ok {
		body = coded
		fields.WriteString("content-encoding: " + s.coding.algo.Name() + "\r\nvary: Accept-Encoding\r\n")
	}
	s.status = resp.Status
	s.keep = s.keepsClient()
	s.reply(h1.AppendReply(nil, resp.Status, contentType, fields.String(), body, s.how()))
}
