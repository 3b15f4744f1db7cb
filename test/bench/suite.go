package main

import (
	"context"
	"net/netip"

	"waggle/test/bench/report"
)

// suite is what one word of the command line measures.
type suite struct {
	report.Suite
	contenders []contender
	ours       func(context.Context, *stage) error // how builds of waggle besides are started
	scenarios  []scenario
}

// contender is a way to get from the client to the servers.
type contender struct {
	report.Contender
	needs []tool
	// start prepares a fresh stage for it. Loads go to stage.targets.
	start func(ctx context.Context, st *stage) error
}

// scenario is a load.
type scenario struct {
	report.Scenario
	path        string
	connections int // at once; rounded up to a multiple of the suite's threads
	close       bool
	tls         bool
	streams     int // of HTTP/2 at once on a connection; 0 is HTTP/1.1
	idle        int // further connections that have made one request and stay open
}

// url is what clients ask of a target.
func (sc scenario) url(target netip.AddrPort) string {
	if sc.tls {
		return "https://" + secure(target).String() + sc.path
	}
	return "http://" + target.String() + sc.path
}

// assemble fills in what the report shows.
func assemble(s report.Suite, ours func(context.Context, *stage) error, contenders []contender, scenarios []scenario) suite {
	for _, c := range contenders {
		s.Contenders = append(s.Contenders, c.Contender)
	}
	for _, sc := range scenarios {
		s.Scenarios = append(s.Scenarios, sc.Scenario)
	}
	return suite{Suite: s, contenders: contenders, scenarios: scenarios, ours: ours}
}

// tool is a program, and the Debian package that has it.
type tool struct{ name, pkg string }

var (
	wrk     = tool{"wrk", "wrk"}
	nginx   = tool{"nginx", "nginx-light"}
	h2load  = tool{"h2load", "nghttp2-client"}
	haproxy = tool{"haproxy", "haproxy"}
	nft     = tool{"nft", "nftables"}
)

// streamModule is where Debian's libnginx-mod-stream puts it.
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"
