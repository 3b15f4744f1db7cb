package config

import (
	"math"
	"slices"
	"strings"
)

// Compression is what a proxy says of the compression of responses.
type Compression struct {
	Codings []Coding // by preference: where a client leaves the choice, the first. None: nothing is compressed
	Types   []string // what content types begin with, in lower case; none: all are compressed
	Offload bool     // servers are not told what the client accepts
}

// Coding is how a body is sent (RFC 9110 section 8.4.1).
type Coding uint8

// The codings. Identity leaves the body as it is, and is what has been asked for if nothing else was.
const (
	NoCoding Coding = iota
	Identity
	Gzip
	Deflate    // the format of zlib
	RawDeflate // without it, under the same name, as some browsers once understood it
)

var codings = map[string]Coding{"identity": Identity, "gzip": Gzip, "deflate": Deflate, "raw-deflate": RawDeflate}

// Name is what clients and servers call it.
func (c Coding) Name() string {
	return [...]string{"", "identity", "gzip", "deflate", "deflate"}[c]
}

func compressionDirectives() []directive {
	const doc = "compression of responses, where client and response allow it"
	return []directive{
		{name: "compression algo", in: anyProxy, args: "identity|gzip|deflate|raw-deflate…", doc: doc + "; of several, clients that leave the choice get the last", parse: (*statement).compressionAlgo},
		{name: "compression type", in: anyProxy, args: "<type>…", doc: "compresses these content types only, by what they begin with", parse: (*statement).compressionType},
		{name: "compression offload", in: anyProxy, doc: "does not tell servers what clients accept, so that they leave compression to us", parse: func(s *statement) {
			switch {
			case !s.atMost(0):
			case s.p.in == inDefaults:
				s.warnf(-1, "'compression offload' is ignored in a 'defaults' section")
			default:
				s.compression().Offload = true
			}
		}},
		{name: "compression direction", in: anyProxy, status: Unsupported, doc: "compression of requests"},
		{name: "filter compression", in: inProxies, doc: "does nothing by itself: without cache and other filters there is no order to give", parse: func(s *statement) { s.atMost(0) }},
	}
}

func compressionGlobals() []directive {
	return []directive{
		{name: "tune.comp.maxlevel", in: inGlobal, args: "<1..9>", doc: "effort of compression, 1 unless said", parse: func(s *statement) {
			s.number(1, 9, &s.p.cfg.Global.CompressionLevel)
		}},
		{name: "maxcomprate", in: inGlobal, args: "<kilobytes>", doc: "of response bodies, before compression, in a second: responses beyond are not compressed; 0 = no limit", parse: func(s *statement) {
			s.number(0, math.MaxInt32/1024, &s.p.cfg.Global.CompressionRate)
		}},
		{name: "maxcompcpuusage", in: inGlobal, args: "<0..100, in percent>", doc: "responses are not compressed while an event loop is busier, 100 unless said", parse: func(s *statement) {
			n := 0
			if s.number(0, 100, &n); n < 100 {
				s.p.cfg.Global.CompressionIdle = 100 - n
			}
		}},
	}
}

// compression gives the proxy's settings, which are its own from then on.
func (s *statement) compression() *Compression {
	c := &Compression{}
	if old := s.p.proxy.Compression; old != nil {
		*c = Compression{slices.Clone(old.Codings), slices.Clone(old.Types), old.Offload}
	}
	s.p.proxy.Compression = c
	return c
}

func (s *statement) compressionAlgo() {
	if len(s.args) == 0 {
		s.errorf(-1, "'compression algo' expects 'identity', 'gzip', 'deflate' or 'raw-deflate'")
		return
	}
	c := s.compression()
	for i := range s.args {
		if !s.oneOf(i, "algorithm", "identity", "gzip", "deflate", "raw-deflate") {
			return
		}
		c.Codings = slices.Insert(c.Codings, 0, codings[s.text(i)])
	}
}

func (s *statement) compressionType() {
	if len(s.args) == 0 {
		s.errorf(-1, "'compression type' expects content types")
		return
	}
	c := s.compression()
	for _, a := range s.args {
		c.Types = append(c.Types, strings.ToLower(a.text))
	}
}

// Compresses says whether a content type is one that is compressed, as far as that goes by what is configured.
func (c *Compression) Compresses(contentType string) bool {
	contentType = strings.ToLower(contentType)
	return len(c.Types) == 0 || slices.ContainsFunc(c.Types, func(t string) bool { return strings.HasPrefix(contentType, t) })
}
