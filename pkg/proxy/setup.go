package proxy

import (
	"log/slog"

	"waggle/pkg/accesslog"
	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// Setup is what an [Engine] is made of. Config and Pool must agree: for each proxy of Config that is not
// disabled, Pool has the frontend, backend and servers of that name, with counters for at least Loops
// loops.
type Setup struct {
	Config *config.Config
	Pool   *pool.Pool
	// Loops is the number of event loops; 0 means GOMAXPROCS. Each takes an operating system thread.
	Loops int
	// Logger gets what an operator should know about the engine itself; nil discards it.
	Logger *slog.Logger

	// Page answers requests for the stats page of the proxy that has `stats enable`; nil answers 503.
	// Page and Exporter run on goroutines of the engine, several at a time, and may take their time.
	Page func(*config.Proxy, ServiceRequest) ServiceResponse
	// Exporter answers for `use-service prometheus-exporter`; nil answers 503.
	Exporter func(ServiceRequest) ServiceResponse

	// Stopping says whether the process is about to stop, for the fetch of that name; nil is never.
	Stopping func() bool

	// Access is told of each request, or of each TCP session, of a frontend that has `log` lines when it has
	// ended, on the loop that served it; it must not block or keep the entry. p is the frontend. nil is off.
	Access func(p *config.Proxy, e *accesslog.Entry)
}

// ServiceRequest is a request that the process answers itself. It is a copy, valid for as long as anybody
// likes.
type ServiceRequest struct {
	Method string
	URI    string      // the request target as it came
	Fields [][2]string // the header fields as they came
	// Body is as much of the body as came along with the head, at most tune.bufsize bytes.
	Body []byte
	// Admin says that a `stats admin` line lets this request change servers.
	Admin bool
}

// Header returns the first value of a header field, compared without ASCII case; "" if there is none.
func (r *ServiceRequest) Header(name string) string {
	for _, f := range r.Fields {
		if equalFold(f[0], name) {
			return f[1]
		}
	}
	return ""
}

// ServiceResponse is the answer to a ServiceRequest. Content-Length and Connection are added. Names and
// values must be free of control bytes.
type ServiceResponse struct {
	Status int
	Header [][2]string
	Body   []byte
}

func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}
