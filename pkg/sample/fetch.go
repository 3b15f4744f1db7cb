package sample

import (
	"strconv"
	"strings"
)

// fetch is one sample fetch. do hands its values to the evaluator; none means that there is nothing.
type fetch struct {
	out  Type
	http bool // needs a request
	arg  argSpec
	do   func(*evaluator, *args)
}

type argSpec uint8

const (
	noArgs     argSpec = iota
	headerArgs         // name[,occurrence]; the name is optional for counting
	headerName         // name alone, optional
)

var fetches = map[string]*fetch{
	"always_true":  {out: Bool, do: func(e *evaluator, _ *args) { e.offer(boolean(true)) }},
	"always_false": {out: Bool, do: func(e *evaluator, _ *args) { e.offer(boolean(false)) }},

	"src":      {out: Addr, do: fetchSrc},
	"src_port": {out: Int, do: func(e *evaluator, _ *args) { e.offer(integer(int64(e.subject.Src().Port()))) }},
	"dst":      {out: Addr, do: fetchDst},
	"dst_port": {out: Int, do: func(e *evaluator, _ *args) { e.offer(integer(int64(e.subject.Dst().Port()))) }},
	"fe_name":  {out: String, do: fetchFrontend},
	"ssl_fc":   {out: Bool, do: func(e *evaluator, _ *args) { e.offer(boolean(e.subject.TLS())) }},

	"method":         {out: String, http: true, do: func(e *evaluator, _ *args) { e.offerText(e.subject.Method()) }},
	"req.ver":        {out: String, http: true, do: func(e *evaluator, _ *args) { e.offerText(e.subject.Version()) }},
	"req.proto_http": {out: Bool, do: func(e *evaluator, _ *args) { e.offer(boolean(e.subject.Method() != nil)) }},
	"url":            {out: String, http: true, do: func(e *evaluator, _ *args) { e.offerText(e.subject.URI()) }},
	"path":           {out: String, http: true, do: func(e *evaluator, _ *args) { e.offerText(uriPath(e.subject.URI())) }},
	"pathq":          {out: String, http: true, do: func(e *evaluator, _ *args) { e.offerText(uriPathQuery(e.subject.URI())) }},
	"query":          {out: String, http: true, do: func(e *evaluator, _ *args) { e.offerText(uriQuery(e.subject.URI())) }},
	"base":           {out: String, http: true, do: fetchBase},

	"req.hdr":      {out: String, http: true, arg: headerArgs, do: fetchHeader},
	"req.fhdr":     {out: String, http: true, arg: headerArgs, do: fetchFullHeader},
	"req.hdr_cnt":  {out: Int, http: true, arg: headerName, do: fetchHeaderCount},
	"req.fhdr_cnt": {out: Int, http: true, arg: headerName, do: fetchFullHeaderCount},
	"req.hdr_val":  {out: Int, http: true, arg: headerArgs, do: fetchHeaderInt},
	"req.hdr_ip":   {out: Addr, http: true, arg: headerArgs, do: fetchHeaderAddr},
}

// aliases are the fetches' older names.
var aliases = map[string]string{
	"hdr": "req.hdr", "hdr_cnt": "req.hdr_cnt", "hdr_val": "req.hdr_val", "hdr_ip": "req.hdr_ip",
	"req_ver": "req.ver", "req_proto_http": "req.proto_http",
}

// suffixed are the names that an ACL may use with a match method behind a `_`.
var suffixed = map[string]bool{"base": true, "hdr": true, "path": true, "url": true}

// findFetch finds a fetch by its name or by the name of an ACL derived from it, such as path_beg,
// whose match method is the second result.
func findFetch(name string) (*fetch, string, *Error) {
	full := name
	if alias, ok := aliases[name]; ok {
		full = alias
	}
	if f, ok := fetches[full]; ok {
		return f, "", nil
	}
	if i := strings.LastIndexByte(name, '_'); i > 0 {
		base, method := name[:i], name[i+1:]
		if suffixed[base] && isTextMethod(method) {
			f, _, err := findFetch(base)
			return f, method, err
		}
		if (base == "cook" || base == "scook" || base == "shdr" || base == "urlp") && isTextMethod(method) {
			return nil, "", unsupported("fetch method", name)
		}
	}
	if knownFetch(name) {
		return nil, "", unsupported("fetch method", name)
	}
	return nil, "", unknown("fetch method", name, spellings())
}

// spellings are all names that findFetch accepts.
func spellings() map[string]bool {
	all := make(map[string]bool)
	for name := range fetches {
		all[name] = true
	}
	for name := range aliases {
		all[name] = true
	}
	for base := range suffixed {
		for m := range methods {
			if isTextMethod(m) {
				all[base+"_"+m] = true
			}
		}
	}
	return all
}

func (f *fetch) parseArgs(name string, list []string, out *args) *Error {
	if f.arg == noArgs {
		if len(list) > 0 {
			return errorf(0, "fetch method '%s' does not support any args", name)
		}
		return nil
	}
	most := 1
	if f.arg == headerArgs {
		most = 2
	}
	if len(list) > most {
		return errorf(0, "too many arguments for fetch method '%s': at most %d", name, most)
	}
	if len(list) == 0 || list[0] == "" {
		return errorf(0, "fetch method '%s' expects the name of a header in parentheses", name)
	}
	out.name = strings.ToLower(list[0])
	if len(list) == 2 {
		n, err := strconv.Atoi(list[1])
		if err != nil || n < -10 || n > 1000 {
			return errorf(0, "bad occurrence '%s' for fetch method '%s': a number from -10 on", list[1], name)
		}
		out.occurrence = n
	}
	return nil
}

func (e *evaluator) offerText(b []byte) {
	if b != nil {
		e.offer(text(b))
	}
}

func fetchSrc(e *evaluator, _ *args) {
	if a := e.subject.Src().Addr(); a.IsValid() {
		e.offer(address(a))
	}
}

func fetchDst(e *evaluator, _ *args) {
	if a := e.subject.Dst().Addr(); a.IsValid() {
		e.offer(address(a))
	}
}

func fetchFrontend(e *evaluator, _ *args) {
	start := len(e.scratch)
	e.scratch = append(e.scratch, e.subject.FrontendName()...)
	e.offer(text(e.scratch[start:]))
}
