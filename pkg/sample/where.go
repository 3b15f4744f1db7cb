package sample

// Where is the moment at which an expression is evaluated, on which depends what it can look at.
type Where uint8

// The moments. In log lines everything may be asked for; what is gone by then is written as absent.
const (
	AtRequest Where = iota
	AtResponse
	AtConnection
	AtLog
)

// source is what a fetch looks at.
type source uint8

const (
	fromAnywhere    source = iota
	fromRequest            // headers and target of the request
	fromRequestLine        // what of the request is kept for the response
	fromBackend            // the backend that was chosen
	fromServer             // the server that was chosen
	fromResponse
	fromContent // the first bytes of the client
)

var sourceNames = [...]string{"", "HTTP request headers", "the HTTP request", "backend", "server", "HTTP response headers", "the content of the request"}

// sees says whether the source exists at a moment.
func (w Where) sees(s source) bool {
	switch w {
	case AtLog:
		return true
	case AtRequest:
		return s != fromServer && s != fromResponse
	case AtResponse:
		return s != fromRequest && s != fromContent
	default:
		return s == fromAnywhere
	}
}

// check refuses an expression whose value could never exist.
func (w Where) check(x *Expr) *Error {
	if w.sees(x.fetch.from) {
		return nil
	}
	return errorf(0, "sample fetch '%s' may not be reliably used here because it needs '%s' which is not available here", x.fetch.name, sourceNames[x.fetch.from])
}

// neverHolds says whether every line of the ACL looks at what does not exist at a moment.
func (a *ACL) neverHolds(w Where) bool {
	for _, t := range a.lines {
		if w.sees(t.expr.fetch.from) {
			return false
		}
	}
	return len(a.lines) > 0
}
