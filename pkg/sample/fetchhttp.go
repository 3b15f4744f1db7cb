package sample

import (
	"bytes"
	"strconv"
)

var requestFetches = map[string]*fetch{
	"method":         {out: String, from: fromRequestLine, do: func(e *evaluator, _ *args) { e.offerText(e.subject.Method()) }},
	"req.ver":        {out: String, from: fromRequest, do: func(e *evaluator, _ *args) { e.offerText(e.subject.Version()) }},
	"req.proto_http": {out: Bool, request: true, do: func(e *evaluator, _ *args) { e.offer(boolean(e.subject.Method() != nil)) }},
	"http_first_req": {out: Bool, from: fromRequestLine, do: func(e *evaluator, _ *args) { e.offer(boolean(e.subject.FirstRequest())) }},
	"url":            {out: String, from: fromRequest, do: func(e *evaluator, _ *args) { e.offerText(e.subject.URI()) }},
	"path":           {out: String, from: fromRequest, do: func(e *evaluator, _ *args) { e.offerText(uriPath(e.subject.URI())) }},
	"pathq":          {out: String, from: fromRequest, do: func(e *evaluator, _ *args) { e.offerText(uriPathQuery(e.subject.URI())) }},
	"query":          {out: String, from: fromRequest, do: func(e *evaluator, _ *args) { e.offerText(uriQuery(e.subject.URI())) }},
	"base":           {out: String, from: fromRequest, do: func(e *evaluator, _ *args) { e.base(uriPath(e.subject.URI())) }},
	"baseq":          {out: String, from: fromRequest, do: func(e *evaluator, _ *args) { e.base(uriPathQuery(e.subject.URI())) }},

	"url_param":     {out: String, from: fromRequest, arg: paramArgs, do: func(e *evaluator, a *args) { e.walkParams(a, String) }},
	"url_param_val": {out: Int, from: fromRequest, arg: paramArgs, do: func(e *evaluator, a *args) { e.walkParams(a, Int) }},

	"req.cook":     {out: String, from: fromRequest, arg: optName, do: func(e *evaluator, a *args) { e.walkCookies(a, false, String) }},
	"req.cook_val": {out: Int, from: fromRequest, arg: optName, do: func(e *evaluator, a *args) { e.walkCookies(a, false, Int) }},
	"req.cook_cnt": {out: Int, from: fromRequest, arg: optName, do: func(e *evaluator, a *args) { e.countCookies(a, false) }},

	"req.hdr":      {out: String, from: fromRequest, arg: headerArgs, do: walk(headerWalk{want: String})},
	"req.fhdr":     {out: String, from: fromRequest, arg: headerArgs, do: walk(headerWalk{want: String, full: true})},
	"req.hdr_cnt":  {out: Int, from: fromRequest, arg: headerName, do: countWalk(headerWalk{})},
	"req.fhdr_cnt": {out: Int, from: fromRequest, arg: headerName, do: countWalk(headerWalk{full: true})},
	"req.hdr_val":  {out: Int, from: fromRequest, arg: headerArgs, do: walk(headerWalk{want: Int})},
	"req.hdr_ip":   {out: Addr, from: fromRequest, arg: headerArgs, do: walk(headerWalk{want: Addr})},

	"capture.req.hdr":    {out: String, from: fromRequestLine, arg: captureSlot, do: fetchCapture(false)},
	"capture.req.uri":    {out: String, from: fromRequestLine, do: func(e *evaluator, _ *args) { e.offerText(uriPathQuery(lineTarget(e.subject.RequestLine()))) }},
	"capture.req.ver":    {out: String, from: fromRequestLine, do: func(e *evaluator, _ *args) { e.offerText(lineVersion(e.subject.RequestLine())) }},
	"capture.req.method": {out: String, from: fromRequestLine, do: func(e *evaluator, _ *args) { e.offerText(e.subject.Method()) }},
}

var responseFetches = map[string]*fetch{
	"status":  {out: Int, from: fromResponse, do: fetchStatus},
	"res.ver": {out: String, from: fromResponse, do: func(e *evaluator, _ *args) { e.offerText(e.subject.ResponseVersion()) }},

	"res.cook":     {out: String, from: fromResponse, arg: optName, do: func(e *evaluator, a *args) { e.walkCookies(a, true, String) }},
	"res.cook_val": {out: Int, from: fromResponse, arg: optName, do: func(e *evaluator, a *args) { e.walkCookies(a, true, Int) }},
	"res.cook_cnt": {out: Int, from: fromResponse, arg: optName, do: func(e *evaluator, a *args) { e.countCookies(a, true) }},

	"res.hdr":      {out: String, from: fromResponse, arg: headerArgs, do: walk(headerWalk{want: String, response: true})},
	"res.fhdr":     {out: String, from: fromResponse, arg: headerArgs, do: walk(headerWalk{want: String, full: true, response: true})},
	"res.hdr_cnt":  {out: Int, from: fromResponse, arg: headerName, do: countWalk(headerWalk{response: true})},
	"res.fhdr_cnt": {out: Int, from: fromResponse, arg: headerName, do: countWalk(headerWalk{full: true, response: true})},
	"res.hdr_val":  {out: Int, from: fromResponse, arg: headerArgs, do: walk(headerWalk{want: Int, response: true})},
	"res.hdr_ip":   {out: Addr, from: fromResponse, arg: headerArgs, do: walk(headerWalk{want: Addr, response: true})},

	"capture.res.hdr": {out: String, from: fromRequestLine, arg: captureSlot, do: fetchCapture(true)},
}

func fetchStatus(e *evaluator, _ *args) {
	if n := e.subject.Status(); n > 0 {
		e.offer(integer(int64(n)))
	}
}

// captureSlot reads the index of a capture.
var captureSlot = argSpec{1, 1, func(p *argParser) *Error {
	n, err := strconv.Atoi(p.list[0])
	if err != nil || n < 0 {
		return errorf(0, "'%s' is not the index of a capture, which %s expects", p.list[0], p.what)
	}
	p.out.nums[0] = int64(n)
	return nil
}}

func fetchCapture(response bool) func(*evaluator, *args) {
	return func(e *evaluator, a *args) { e.offerText(e.subject.Captured(response, int(a.nums[0]))) }
}

// lineTarget is the target of a request line, nil for none.
func lineTarget(line []byte) []byte {
	_, rest, ok := bytes.Cut(line, []byte{' '})
	if !ok {
		return nil
	}
	target, _, _ := bytes.Cut(rest, []byte{' '})
	return target
}

// lineVersion is the version of a request line with its name, as HTTP/1.1; nil for none.
func lineVersion(line []byte) []byte {
	i := bytes.LastIndexByte(line, ' ')
	if i < 0 {
		return nil
	}
	return line[i+1:]
}

// base offers the host header and what follows it as one text.
func (e *evaluator) base(path []byte) {
	host := e.subject.Header("host")
	if path == nil && host == nil {
		return
	}
	if host == nil {
		e.offer(text(path))
		return
	}
	start := len(e.scratch)
	e.scratch = append(append(e.scratch, host...), path...)
	e.offer(text(e.scratch[start:]))
}
