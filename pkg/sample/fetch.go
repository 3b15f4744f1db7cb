package sample

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"
)

// fetch is one sample fetch. do hands its values to the evaluator; none means that there is nothing.
type fetch struct {
	name string // its newest
	out  Type
	from source
	arg  argSpec
	// request says that the fetch looks at a request although it has a value without one.
	request bool
	// login says that it may take time to find the value out: see [Login].
	login bool
	do    func(*evaluator, *args)
}

// http says whether the fetch needs a request.
func (f *fetch) http() bool {
	return f.from == fromRequest || f.from == fromRequestLine || f.from == fromResponse
}

// looksAtContent says whether the fetch has a value only where a TCP client is looked at.
func (f *fetch) looksAtContent() bool { return f.from == fromContent && f.name != "wait_end" }

// fetches has every fetch by its newest name.
var fetches = tableOfFetches(connectionFetches, tlsFetches, contentFetches, stickyFetches(), situationFetches(), requestFetches, payloadFetches, authFetches, responseFetches, internalFetches)

func tableOfFetches(parts ...map[string]*fetch) map[string]*fetch {
	all := make(map[string]*fetch)
	for _, part := range parts {
		for name, f := range part {
			f.name = name
			all[name] = f
		}
	}
	return all
}

var connectionFetches = map[string]*fetch{
	"src":         {out: Addr, do: fetchSrc},
	"src_port":    {out: Int, do: func(e *evaluator, _ *args) { e.offerPort(e.subject.Src()) }},
	"dst":         {out: Addr, do: fetchDst},
	"dst_port":    {out: Int, do: func(e *evaluator, _ *args) { e.offerPort(e.subject.Dst()) }},
	"fc_err":      {out: Int, do: func(e *evaluator, _ *args) { e.offer(integer(int64(e.subject.ConnError()))) }},
	"fc_err_str":  {out: String, do: func(e *evaluator, _ *args) { e.offerString(e.subject.ConnError().String()) }},
	"fe_name":     {out: String, do: func(e *evaluator, _ *args) { e.offerString(e.subject.FrontendName()) }},
	"be_name":     {out: String, from: fromBackend, do: func(e *evaluator, _ *args) { e.offerString(e.subject.BackendName()) }},
	"srv_name":    {out: String, from: fromServer, do: func(e *evaluator, _ *args) { e.offerString(e.subject.ServerName()) }},
	"nbsrv":       {out: Int, arg: argSpec{0, 1, parseBackend}, do: fetchUsable},
	"ssl_fc":      {out: Bool, do: func(e *evaluator, _ *args) { e.offer(boolean(e.subject.TLS())) }},
	"prio_class":  {out: Int, do: func(e *evaluator, _ *args) { class, _ := priorityOf(e.subject); e.offer(integer(class)) }},
	"prio_offset": {out: Int, do: func(e *evaluator, _ *args) { _, offset := priorityOf(e.subject); e.offer(integer(offset)) }},
	"stopping":    {out: Bool, do: fetchStopping},
	"unique-id":   {out: String, do: func(e *evaluator, _ *args) { e.offerText(e.subject.UniqueID()) }},
	"var":         {out: Any, arg: argSpec{1, 2, parseVar}, do: fetchVar},
}

var internalFetches = map[string]*fetch{
	"always_true":  {out: Bool, do: func(e *evaluator, _ *args) { e.offer(boolean(true)) }},
	"always_false": {out: Bool, do: func(e *evaluator, _ *args) { e.offer(boolean(false)) }},
	"bool":         {out: Bool, arg: constant(readBool), do: fetchConstant},
	"int":          {out: Int, arg: constant(readInt), do: fetchConstant},
	"str":          {out: String, arg: constant(readText), do: fetchConstant},
	"ipv4":         {out: Addr, arg: constant(readAddr), do: fetchConstant},
	"ipv6":         {out: Addr, arg: constant(readAddr), do: fetchConstant},
	"env":          {out: String, arg: argSpec{1, 1, parseEnv}, do: fetchEnv},
	"date":         {out: Int, arg: argSpec{0, 2, parseDate}, do: fetchDate},
	"rand":         {out: Int, arg: optNumber, do: fetchRand},
	"uuid":         {out: String, arg: argSpec{0, 1, parseUUID}, do: fetchUUID},
	"acl":          {out: Bool, arg: argSpec{1, 12, parseACLs}, do: fetchACLs},
}

// aliases are the fetches' older names.
var aliases = map[string]string{
	"hdr": "req.hdr", "hdr_cnt": "req.hdr_cnt", "hdr_val": "req.hdr_val", "hdr_ip": "req.hdr_ip",
	"shdr": "res.hdr", "shdr_cnt": "res.hdr_cnt", "shdr_val": "res.hdr_val", "shdr_ip": "res.hdr_ip",
	"cook": "req.cook", "cook_cnt": "req.cook_cnt", "cook_val": "req.cook_val",
	"scook": "res.cook", "scook_cnt": "res.cook_cnt", "scook_val": "res.cook_val",
	"urlp": "url_param", "urlp_val": "url_param_val", "meth": "method",
	"req_len": "req.len", "req_ssl_sni": "req.ssl_sni", "req_ssl_hello_type": "req.ssl_hello_type",
	"payload": "req.payload", "payload_lv": "req.payload_lv",
	"req_ver": "req.ver", "req_proto_http": "req.proto_http", "resp_ver": "res.ver",
}

// suffixed are the names that an ACL may use with a match method behind a `_`.
var suffixed = map[string]bool{"req.ssl_sni": true, "req_ssl_sni": true, "ssl_fc_sni": true, "base": true, "hdr": true, "path": true, "url": true, "cook": true, "scook": true, "shdr": true, "urlp": true}

// findFetch finds a fetch by its name or by the name of an ACL derived from it, such as path_beg,
// whose match method is the second result.
func findFetch(name string, where Where) (*fetch, string, *Error) {
	full := name
	if alias, ok := aliases[name]; ok {
		full = alias
		if where == AtResponse && strings.HasPrefix(name, "hdr") { // the headers of what is being handled
			full = "res." + name
		}
	}
	if f, ok := fetches[full]; ok {
		return f, "", nil
	}
	if i := strings.LastIndexByte(name, '_'); i > 0 {
		base, method := name[:i], name[i+1:]
		if suffixed[base] && isTextMethod(method) {
			f, _, err := findFetch(base, where)
			return f, method, err
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

func (e *evaluator) offerText(b []byte) {
	if b != nil {
		e.offer(text(b))
	}
}

// offerString offers a name; the empty one does not exist.
func (e *evaluator) offerString(s string) {
	if s == "" {
		return
	}
	start := len(e.scratch)
	e.scratch = append(e.scratch, s...)
	e.offer(text(e.scratch[start:]))
}

// offerPort offers the port of an address; a unix socket has none.
func (e *evaluator) offerPort(a netip.AddrPort) {
	if a.IsValid() {
		e.offer(integer(int64(a.Port())))
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

func parseBackend(p *argParser) *Error {
	p.out.name = p.text(0)
	if p.out.name != "" && p.env.Backend != nil {
		p.env.Backend(p.out.name)
	}
	return nil
}

func fetchUsable(e *evaluator, a *args) {
	if n := e.subject.UsableServers(a.name); n >= 0 {
		e.offer(integer(int64(n)))
	}
}

// fetchStopping tells of a process that is about to stop (HAProxy, section 7.3.2, stopping). Subjects that know of none are
// of one that is not.
func fetchStopping(e *evaluator, _ *args) {
	s, ok := e.subject.(interface{ Stopping() bool })
	e.offer(boolean(ok && s.Stopping()))
}

// priorityOf is what a subject's standing in queues is, the offset in milliseconds. Subjects that know of none are of class 0.
func priorityOf(s Subject) (class, offset int64) {
	if p, ok := s.(interface{ Priority() (class, offset int64) }); ok {
		return p.Priority()
	}
	return 0, 0
}

func fetchConstant(e *evaluator, a *args) { e.offer(a.value) }

func parseVar(p *argParser) *Error {
	p.out.texts[1] = p.text(1)
	p.out.all = len(p.list) > 1
	if p.list[0] == "" {
		return errorf(0, "%s expects the name of a variable", p.what)
	}
	return p.variable(0)
}

func fetchVar(e *evaluator, a *args) {
	name := a.vars[0]
	v, ok := e.subject.Vars(name.Scope).Get(name.Name)
	switch {
	case ok:
		e.offer(v)
	case a.all:
		start := len(e.scratch)
		e.scratch = append(e.scratch, a.texts[1]...)
		e.offer(text(e.scratch[start:]))
	}
}

// parseEnv looks the variable up once, as HAProxy does.
func parseEnv(p *argParser) *Error {
	if p.env.Getenv != nil {
		if v, ok := p.env.Getenv(p.list[0]); ok {
			p.out.value = text([]byte(v))
		}
	}
	return nil
}

func fetchEnv(e *evaluator, a *args) {
	if a.value.Type == String {
		e.offer(a.value)
	}
}

// parseDate reads `[offset][,unit]`.
func parseDate(p *argParser) *Error {
	switch unit := p.text(1); unit {
	case "", "s", "ms", "us":
		p.out.texts[1] = unit
	default:
		return errorf(0, "the unit of %s is 's', 'ms' or 'us', not '%s'", p.what, unit)
	}
	return p.number(0, 0)
}

// fetchDate gives the time since 1970 in the unit, with the offset, which is in seconds.
func fetchDate(e *evaluator, a *args) {
	now := e.subject.Now().Add(time.Duration(a.nums[0]) * time.Second)
	switch a.texts[1] {
	case "ms":
		e.offer(integer(now.UnixMilli()))
	case "us":
		e.offer(integer(now.UnixMicro()))
	default:
		e.offer(integer(now.Unix()))
	}
}

// fetchRand gives a number from 0 to below the argument, or of 32 bits.
func fetchRand(e *evaluator, a *args) {
	n := uint64(rand.Uint32())
	if a.nums[0] > 0 {
		n = n * uint64(uint32(a.nums[0])) >> 32
	}
	e.offer(integer(int64(n)))
}

func parseUUID(p *argParser) *Error {
	if v := p.text(0); v != "" && v != "4" {
		return unsupported("UUID version", v)
	}
	return nil
}

// fetchUUID gives a random UUID (RFC 9562 section 5.4).
func fetchUUID(e *evaluator, _ *args) {
	hi, lo := rand.Uint64(), rand.Uint64()
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(3<<62) | 2<<62
	start := len(e.scratch)
	for i := range 32 {
		switch i {
		case 8, 12, 16, 20:
			e.scratch = append(e.scratch, '-')
		}
		n := hi
		if i >= 16 {
			n = lo
		}
		e.scratch = append(e.scratch, "0123456789abcdef"[n>>(60-4*(i%16))&15])
	}
	e.offer(text(e.scratch[start:]))
}

// parseACLs reads names of ACLs, each perhaps negated, all of which must hold.
func parseACLs(p *argParser) *Error {
	for _, word := range p.list {
		name := strings.TrimPrefix(word, "!")
		acl, err := p.named(name, 0, p.env)
		if err != nil {
			return err
		}
		p.out.acls = append(p.out.acls, term{negate: name != word, acl: acl})
	}
	return nil
}

func fetchACLs(e *evaluator, a *args) { e.offer(boolean(holds(a.acls, e.subject))) }
