package sample

// Payload is a Subject that has a request whose body can be looked at, as far as it has come: all of it where the
// configuration waits for it, up to the size of a buffer.
type Payload interface {
	// Body gives those bytes without the framing of chunks, nil if there is no request.
	Body() []byte
	// BodySize is what the request says that its body has; of a chunked one, what is known of it so far.
	BodySize() int64
}

// payloadFetches look at the body of a request (HAProxy, section 7.3.6).
var payloadFetches = map[string]*fetch{
	"req.body":      {out: String, from: fromRequest, do: ofPayload(func(e *evaluator, p Payload, _ *args) { e.offerText(p.Body()) })},
	"req.body_len":  {out: Int, from: fromRequest, do: ofPayload(func(e *evaluator, p Payload, _ *args) { e.offer(integer(int64(len(p.Body())))) })},
	"req.body_size": {out: Int, from: fromRequest, do: ofPayload(func(e *evaluator, p Payload, _ *args) { e.offer(integer(p.BodySize())) })},
	"req.body_param": {out: String, from: fromRequest, arg: argSpec{0, 2, parseBodyParam}, do: ofPayload(func(e *evaluator, p Payload, a *args) {
		e.walkParamsOf(p.Body(), a, String, '&')
	})},
}

func ofPayload(do func(*evaluator, Payload, *args)) func(*evaluator, *args) {
	return func(e *evaluator, a *args) {
		if p, ok := e.subject.(Payload); ok && p.Body() != nil {
			do(e, p, a)
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
