package sample

// Payload is a Subject that has a request whose body can be looked at, as far as it has come: all of it where the
// configuration waits for it, up to the size of a buffer.
type Payload interface {
	// Body gives those bytes without the framing of chunks, valid until the next call; ok is false if there is no request.
	Body() (body []byte, ok bool)
	// BodySize is what the request says that its body has; of a chunked one, what is known of it so far.
	BodySize() (size int64, ok bool)
}

// payloadFetches look at the body of a request (HAProxy, section 7.3.6).
var payloadFetches = map[string]*fetch{
	"req.body":      {out: Binary, from: fromRequest, do: ofBody(func(e *evaluator, body []byte, _ *args) { e.offerText(body) })},
	"req.body_len":  {out: Int, from: fromRequest, do: ofBody(func(e *evaluator, body []byte, _ *args) { e.offer(integer(int64(len(body)))) })},
	"req.body_size": {out: Int, from: fromRequest, do: bodySize},
	"req.body_param": {out: Binary, from: fromRequest, arg: argSpec{0, 2, parseBodyParam}, do: ofBody(func(e *evaluator, body []byte, a *args) {
		e.walkParamsOf(body, a, String, '&')
	})},
}

func ofBody(do func(e *evaluator, body []byte, a *args)) func(*evaluator, *args) {
	return func(e *evaluator, a *args) {
		if p, ok := e.subject.(Payload); ok {
			if body, ok := p.Body(); ok {
				do(e, body, a)
			}
		}
	}
}

func bodySize(e *evaluator, _ *args) {
	if p, ok := e.subject.(Payload); ok {
		if size, ok := p.BodySize(); ok {
			e.offer(integer(size))
		}
	}
}

// parseBodyParam reads `[<name>[,i]]`; i compares without case.
func parseBodyParam(p *argParser) *Error {
	p.out.name = p.text(0)
	switch p.text(1) {
	case "":
	case "i":
		p.out.all = true
	default:
		return errorf(0, "%s knows the flag 'i', not '%s'", p.what, p.list[1])
	}
	return nil
}
