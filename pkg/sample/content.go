package sample

// Content is a Subject at which the client's first bytes can be looked at before anything is done with them.
type Content interface {
	// Content gives the bytes that have come, and whether more may still come within the time for inspection.
	Content() (b []byte, more bool)
}

// Preview is a Subject that may be a TCP connection on which a client speaks HTTP, of which nothing else takes notice.
type Preview interface {
	// AwaitRequest looks for a request's head in the first bytes. Fetches see it from then on, if it is there; else more
	// says whether it may still come within the time for inspection.
	AwaitRequest() (more bool)
}

// previews says whether the fetch looks at a request.
func (f *fetch) previews() bool {
	return f.from == fromRequest || f.from == fromRequestLine || f.request
}

// preview has the fetch see the request that a TCP client may have sent.
func (e *evaluator) preview() {
	if p, ok := e.subject.(Preview); ok {
		e.unsure = p.AwaitRequest()
	}
}

// contentFetches look at a connection's first bytes (HAProxy, section 7.3.5). What is not there yet may come: see
// [Cond.Judge].
var contentFetches = map[string]*fetch{
	"req.len":            {out: Int, from: fromContent, do: fetchLength},
	"req.payload":        {out: Binary, from: fromContent, arg: argSpec{2, 2, parsePayload}, do: fetchPayload},
	"req.payload_lv":     {out: Binary, from: fromContent, arg: argSpec{2, 3, parsePayloadLV}, do: fetchPayloadLV},
	"req.ssl_hello_type": {out: Int, from: fromContent, do: ofHello(func(e *evaluator, h *hello) { e.offer(integer(int64(h.kind))) })},
	"req.ssl_sni":        {out: String, from: fromContent, do: ofHello(func(e *evaluator, h *hello) { e.offerText(h.sni) })},
	"req.ssl_alpn":       {out: String, from: fromContent, do: ofHello(fetchHelloALPN)},
	"wait_end":           {out: Bool, from: fromContent, do: fetchWaitEnd},
}

// content gives the first bytes. What the fetch has made of them may be another thing when more have come.
func (e *evaluator) content() (b []byte, ok bool) {
	c, ok := e.subject.(Content)
	if !ok {
		return nil, false
	}
	b, e.unsure = c.Content()
	return b, true
}

func fetchLength(e *evaluator, _ *args) {
	if b, ok := e.content(); ok {
		e.offer(integer(int64(len(b))))
	}
}

// fetchWaitEnd holds when nothing more is waited for.
func fetchWaitEnd(e *evaluator, _ *args) {
	if _, ok := e.content(); ok && !e.unsure {
		e.offer(boolean(true))
	}
}

func parsePayload(p *argParser) *Error {
	for i := range 2 {
		if err := p.number(i, 0); err != nil {
			return err
		}
		if p.out.nums[i] < 0 {
			return errorf(0, "'%s' is no offset or length in %s", p.list[i], p.what)
		}
	}
	return nil
}

// fetchPayload gives a length of bytes from an offset on; a length of 0 means all that there are.
func fetchPayload(e *evaluator, a *args) {
	b, ok := e.content()
	from, n := a.nums[0], a.nums[1]
	if !ok || from > int64(len(b)) || n > int64(len(b))-from {
		return
	}
	if n == 0 {
		n = int64(len(b)) - from
	} else {
		e.unsure = false
	}
	if n > 0 {
		e.offerText(b[from : from+n])
	}
}

// parsePayloadLV reads `<offset of the length>,<bytes of it>[,<offset of the value>]`; with a sign the last counts from
// the end of the length.
func parsePayloadLV(p *argParser) *Error {
	for i := range 2 {
		if err := p.number(i, 0); err != nil {
			return err
		}
	}
	if p.out.nums[0] < 0 || p.out.nums[1] < 1 || p.out.nums[1] > 4 {
		return errorf(0, "%s expects an offset and a size from 1 to 4", p.what)
	}
	p.out.nums[2] = p.out.nums[0] + p.out.nums[1]
	if text := p.text(2); text != "" {
		end := p.out.nums[2]
		if err := p.number(2, 0); err != nil {
			return err
		}
		if text[0] == '+' || text[0] == '-' {
			p.out.nums[2] += end
		}
		if p.out.nums[2] < 0 {
			return errorf(0, "the value of %s would begin before the buffer", p.what)
		}
	}
	return nil
}

func fetchPayloadLV(e *evaluator, a *args) {
	b, ok := e.content()
	if !ok || a.nums[0]+a.nums[1] > int64(len(b)) {
		return
	}
	n := int64(0)
	for _, c := range b[a.nums[0] : a.nums[0]+a.nums[1]] {
		n = n<<8 | int64(c)
	}
	if from := a.nums[2]; from <= int64(len(b)) && n <= int64(len(b))-from {
		e.unsure = false
		if n > 0 {
			e.offerText(b[from : from+n])
		}
	}
}

// ofHello makes a fetch that looks at a ClientHello. Nothing that comes later changes one that is whole, or what is no
// TLS at all.
func ofHello(do func(*evaluator, *hello)) func(*evaluator, *args) {
	return func(e *evaluator, _ *args) {
		b, ok := e.content()
		if !ok {
			return
		}
		h, state := parseHello(b)
		if state != helloPart {
			e.unsure = false
		}
		if state == helloWhole {
			do(e, &h)
		}
	}
}

// fetchHelloALPN offers each protocol to a condition, and their list to others.
func fetchHelloALPN(e *evaluator, h *hello) {
	if e.iterating() {
		for list := h.alpn; len(list) > 0; list = list[1+int(list[0]):] {
			if !e.offer(text(list[1 : 1+int(list[0])])) {
				return
			}
		}
		return
	}
	from := len(e.scratch)
	for list := h.alpn; len(list) > 0; list = list[1+int(list[0]):] {
		if len(e.scratch) > from {
			e.scratch = append(e.scratch, ',')
		}
		e.scratch = append(e.scratch, list[1:1+int(list[0])]...)
	}
	if len(e.scratch) > from {
		e.offerText(e.scratch[from:])
	}
}
