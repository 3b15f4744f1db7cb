package stats

// Request is what a report needs of an HTTP request.
type Request struct {
	Method string
	URI    string // the request target as it came
	// Header returns the first value of a header, "" if it is absent. The name is given in lower
	// case and is compared without case. A nil Header has no headers.
	Header func(name string) string
	// Body is as much of the body as has come; a form that is longer is refused.
	Body []byte
	// Admin says that the rules of the configuration (`stats admin`) let this request change servers.
	Admin bool
}

func (r *Request) header(name string) string {
	if r.Header == nil {
		return ""
	}
	return r.Header(name)
}

// Response is a complete answer. Whoever sends it adds `content-length` and what belongs to the
// connection, and leaves the body out when it answers a HEAD request.
type Response struct {
	Status int
	Header [][2]string // names in lower case
	Body   []byte
}

// Get returns the value of a header of the response, "" if it is absent.
func (r *Response) Get(name string) string {
	for _, h := range r.Header {
		if h[0] == name {
			return h[1]
		}
	}
	return ""
}

func (r *Response) set(name, value string) { r.Header = append(r.Header, [2]string{name, value}) }

// reply makes an answer that no cache keeps.
func reply(status int, contentType string, body []byte) Response {
	return Response{Status: status, Body: body, Header: [][2]string{
		{"cache-control", "no-store"},
		{"content-type", contentType},
		{"x-content-type-options", "nosniff"},
	}}
}

const (
	plainText = "text/plain; charset=utf-8"
	jsonText  = "application/json"
	htmlText  = "text/html; charset=utf-8"
)

// methodNotAllowed answers a method that is none of those allowed.
func methodNotAllowed(allowed string) Response {
	r := reply(405, plainText, []byte("Only "+allowed+" are answered here.\n"))
	r.set("allow", allowed)
	return r
}

func readable(method string) bool { return method == "GET" || method == "HEAD" }
