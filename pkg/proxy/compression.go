package proxy

import (
	"bytes"
	"slices"
	"strings"

	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/proxy/h1"
)

// compressionLimits are what the process allows.
type compressionLimits struct {
	level int
	rate  uint64 // bytes a second before compression; 0 = no limit
	idle  int    // percentage of idle time of a loop below which nothing is compressed
}

// tellLimits has statistics show them.
func (pl *plan) tellLimits() { pl.pool.Process.CompLimit.Store(int64(pl.compression.rate)) }

// chooseCoding finds out in which coding the client would have a response, when rules have had their say about the request
// (HAProxy, section 9.2). The backend's settings come before the frontend's.
func (s *session) chooseCoding() {
	settings := s.compressionOf(func(c *config.Compression) bool { return len(c.Codings) > 0 })
	if settings == nil {
		return
	}
	subj := (*subject)(s)
	if brokenBrowser(subj.Header("user-agent")) {
		return
	}
	best := 0
	subj.Headers("accept-encoding", func(list []byte) bool {
		for item := range bytes.SplitSeq(list, []byte{','}) {
			name, q := acceptedCoding(item)
			if q <= best {
				continue
			}
			for _, c := range settings.Codings {
				if strings.HasPrefix(name, "*") || equalFold(name, c.Name()) {
					s.coding.algo, best = c, q
					break
				}
			}
		}
		return true
	})
	if s.coding.algo != config.NoCoding {
		if s.compressionOf(func(c *config.Compression) bool { return c.Offload }) != nil {
			s.edits.Del("accept-encoding")
		}
		return
	}
	if slices.Contains(settings.Codings, config.Identity) { // it needs no permission
		s.coding.algo = config.Identity
	}
}

// compressionOf gives the settings of the backend, or else of the frontend, of which something is true; nil for none.
func (s *session) compressionOf(holds func(*config.Compression) bool) *config.Compression {
	if s.be != nil {
		if c := s.be.cfg.Compression; c != nil && holds(c) {
			return c
		}
	}
	if c := s.fe.cfg.Compression; c != nil && holds(c) {
		return c
	}
	return nil
}

// brokenBrowser says whether a user agent says that it is Mozilla/4 and not a version of it that can be relied on: Internet
// Explorer 6 with XP's second service pack, or a later one.
func brokenBrowser(agent []byte) bool {
	const msie, servicePack = 25, 51
	if !bytes.HasPrefix(agent, []byte("Mozilla/4")) {
		return false
	}
	if len(agent) < msie+6 || string(agent[msie:msie+5]) != "MSIE " || agent[msie+5] < '6' {
		return true
	}
	return agent[msie+5] == '6' && (len(agent) < servicePack+3 || string(agent[servicePack:servicePack+3]) != "SV1")
}

// acceptedCoding reads an element of Accept-Encoding: the name, and its weight in thousandths (RFC 9110 section 12.5.3).
func acceptedCoding(item []byte) (name string, q int) {
	name, parameters, _ := strings.Cut(string(item), ";")
	for p := range strings.SplitSeq(parameters, ";") {
		if text, ok := strings.CutPrefix(strings.Trim(p, " \t"), "q="); ok {
			return strings.Trim(name, " \t"), qvalue(text)
		}
	}
	return strings.Trim(name, " \t"), 1000
}

// qvalue reads a weight in thousandths (RFC 9110 section 12.4.2); what is none weighs nothing.
func qvalue(text string) int {
	if text == "" || text[0] != '0' && text[0] != '1' {
		return 0
	}
	q := 1000 * int(text[0]-'0')
	if len(text) > 1 && text[1] == '.' {
		for i, scale := 2, 100; i < len(text) && scale > 0 && text[i] >= '0' && text[i] <= '9'; i, scale = i+1, scale/10 {
			q += scale * int(text[i]-'0')
		}
	}
	return min(q, 1000)
}

// compresses says whether the response is to be sent in the coding that was chosen for the request. As with HAProxy that goes
// by what the server has said, whatever rules make of it.
func (s *session) compresses() bool {
	if s.coding.algo == config.NoCoding || s.resp.Minor == 0 || s.resp.Framing != h1.BodyLength && s.resp.Framing != h1.BodyChunked {
		return false
	}
	s.resp.Rebase(s.link.in.bytes())
	return s.compressible(s.resp.Status, s.resp.Headers)
}

// compress has the response, which rules have seen, sent in the coding.
func (s *session) compress() {
	edits := &s.msg.response
	if s.coding.algo != config.Identity {
		edits.Add("content-encoding", s.coding.algo.Name())
	}
	if tag := edits.Header(&s.resp.Head, "etag"); len(tag) > 0 && tag[0] == '"' { // it is another representation now (RFC 9110 section 8.8.3.3)
		edits.Set("etag", "W/"+string(tag))
	}
	edits.Add("vary", "Accept-Encoding")
	s.startCoding()
	s.down.coding = &s.coding
}

// compressible says whether a response may be sent in another coding than it has.
func (s *session) compressible(status int, headers func(name string, fn func(value []byte) bool)) bool {
	if s.req.Minor == 0 || s.req.Method == h1.MethodHead || status < 200 || status > 203 {
		return false
	}
	coded, final, tags, badTag, types := false, false, 0, false, 0
	headers("content-encoding", func([]byte) bool { coded = true; return false })
	headers("cache-control", func(list []byte) bool {
		for item := range bytes.SplitSeq(list, []byte{','}) {
			final = final || equalFold(strings.Trim(string(item), " \t"), "no-transform")
		}
		return true
	})
	headers("etag", func(tag []byte) bool {
		tags++
		tag = bytes.TrimPrefix(tag, []byte("W/"))
		badTag = badTag || len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"'
		return true
	})
	if coded || final || badTag || tags > 1 {
		return false
	}
	restricted := s.compressionOf(func(c *config.Compression) bool { return len(c.Types) > 0 })
	fits := true
	headers("content-type", func(t []byte) bool {
		types++
		fits = !strings.HasPrefix(strings.ToLower(string(t)), "multipart") && (restricted == nil || restricted.Compresses(string(t)))
		return false
	})
	return fits && (types > 0 || restricted == nil) && s.mayCompress()
}

// mayCompress says whether the limits of the process let another response be compressed.
func (s *session) mayCompress() bool {
	limits := &s.fe.plan.compression
	if limits.rate > 0 && s.w.e.compressed.read(s.w.date()) > limits.rate {
		return false
	}
	return limits.idle == 0 || s.w.compressor.idle(s.w.loop.Now(), s.w.loop.IdleTime) >= limits.idle
}

// startCoding begins with a response.
func (s *session) startCoding() {
	c := &s.coding
	c.compressor, c.meter, c.level, c.counters = &s.w.compressor, &s.w.e.compressed, s.fe.plan.compression.level, [2]*pool.Shard{s.feShard(), nil}
	if s.be != nil {
		c.counters[1] = s.be.stats.Counters.Shard(s.w.shard)
	}
}

// compressPage gives the body of an answer of a service in the coding that was chosen for the request, if it may have one.
func (s *session) compressPage(r *ServiceResponse, contentType string) (body []byte, ok bool) {
	if s.coding.algo <= config.Identity || len(r.Body) == 0 {
		return nil, false
	}
	if !s.compressible(r.Status, func(name string, fn func([]byte) bool) {
		for _, f := range r.Header {
			if equalFold(f[0], name) && !fn([]byte(f[1])) {
				return
			}
		}
	}) {
		return nil, false
	}
	s.startCoding()
	for rest := r.Body; len(rest) > 0; {
		piece := rest[:min(len(rest), maxPiece)]
		rest = rest[len(piece):]
		body = s.coding.append(body, piece, len(rest) == 0, s.w.date())
	}
	s.coding.count(func(sh *pool.Shard) { sh.CompResponses.Add(1) })
	return body, true
}
