package config

import (
	"strconv"
	"strings"
	"time"

	"waggle/pkg/sample"
	"waggle/pkg/stick"
)

// The bounds of a stick table. An entry takes about 400 bytes.
const (
	maxTableSize   = 10 << 20
	stickStringLen = 32 // of a key, unless said (HAProxy, section 11.1)
	maxStickString = 1024
)

func stickDirectives() []directive {
	return []directive{
		{name: "stick-table", in: inProxies, args: "type ip|ipv6|integer|string|binary [len <n>] size <n> [expire <time>] [nopurge] [peers <section>] [store <data>[(<period>)][,…]]",
			doc: "a table of what clients did, by a key that rules track: conn_cnt, conn_cur, conn_rate, sess_cnt, sess_rate, http_req_cnt, http_req_rate, http_err_cnt, http_err_rate, http_fail_cnt, http_fail_rate, gpc0, gpc0_rate, gpc1, gpc1_rate, gpt0", parse: (*statement).stickTable},
	}
}

// stickWords are the arguments of `stick-table`.
var stickWords = []string{"type", "len", "size", "expire", "nopurge", "peers", "store"}

// stickTable reads `stick-table`.
func (s *statement) stickTable() {
	s.p.proxy.hasTable = true
	t, ok := s.tableConfig(0)
	switch {
	case !ok:
	case s.p.proxy.StickTable != nil:
		s.errorf(-1, "'stick-table' : this proxy has a table already")
	default:
		s.p.proxy.StickTable = t
	}
}

// tableConfig reads what a table is made of, from argument i on.
func (s *statement) tableConfig(i int) (*stick.Config, bool) {
	t := &stick.Config{Len: stickStringLen}
	for ; i < len(s.args); i++ {
		word := s.args[i].text
		if word == "nopurge" {
			t.NoPurge = true
			continue
		}
		value := s.text(i + 1)
		if value == "" {
			s.errorf(i, "'stick-table' : missing value behind '%s'", word)
			return nil, false
		}
		i++
		var err error
		switch word {
		case "type":
			t.Type = value
			if !s.oneOf(i, "type", "ip", "ipv6", "integer", "string", "binary") {
				return nil, false
			}
		case "len":
			t.Len, _ = s.integer(i, 1, maxStickString)
		case "size":
			t.Size, err = parseSize(value, "size")
		case "expire":
			t.Expire, err = parseTime(value, "expire", time.Millisecond)
		case "store":
			if !s.stored(t, i) {
				return nil, false
			}
		case "peers":
			s.p.peersUses = append(s.p.peersUses, nameUse{name: value, at: s.at(i)})
		case "srvkey", "write-to", "recv-only":
			s.unsupported(i-1, "'"+word+"' on a 'stick-table' line")
			return nil, false
		default:
			s.errorf(i-1, "'stick-table' : unknown argument '%s'%s", word, didYouMean(word, stickWords))
			return nil, false
		}
		if err != nil {
			s.errorf(i, "'stick-table' : %s", err)
			return nil, false
		}
	}
	switch {
	case t.Type == "":
		s.errorf(-1, "'stick-table' : missing 'type'")
	case t.Size < 1 || t.Size > maxTableSize:
		s.errorf(-1, "'stick-table' : 'size' has to be from 1 to %d", maxTableSize)
	default:
		return t, true
	}
	return nil, false
}

// stored reads `<data>[(<period>)][,…]`.
func (s *statement) stored(t *stick.Config, i int) bool {
	for item := range strings.SplitSeq(s.args[i].text, ",") {
		name, period, has := strings.Cut(strings.TrimSuffix(item, ")"), "(")
		d, ok := stick.FindData(name)
		switch {
		case !ok && knownStickData(name):
			s.unsupported(i, "'store "+name+"' on a 'stick-table' line")
			return false
		case !ok:
			s.errorf(i, "'stick-table' : unknown data type '%s' in 'store'%s", name, didYouMean(name, stick.DataNames()))
			return false
		case has != d.Rate() || has != strings.HasSuffix(item, ")"):
			s.errorf(i, "'stick-table' : '%s' in 'store': a rate has a period in parentheses, and nothing else has one", item)
			return false
		}
		t.Stores[d] = true
		if has {
			p, err := parseTime(period, name, time.Millisecond)
			if err == nil && p <= 0 {
				s.errorf(i, "'stick-table' : the period of '%s' has to be longer than 0", name)
				return false
			}
			if err != nil {
				s.errorf(i, "'stick-table' : %s", err)
				return false
			}
			t.Period[d] = p
		}
	}
	return true
}

// knownStickData says whether HAProxy 3.2 knows a kind of data that waggle does not keep.
func knownStickData(name string) bool {
	const others = " server_id server_key gpc gpc_rate gpt glitch_cnt glitch_rate bytes_in_cnt bytes_in_rate bytes_out_cnt bytes_out_rate "
	return strings.Contains(others, " "+name+" ")
}

// track reads `<key> [table <name>]` of a rule that tracks.
func (r *ruleParser) track() bool {
	if !r.expression() {
		return false
	}
	return r.trackedTable()
}

func (r *ruleParser) trackedTable() bool {
	use := nameUse{at: r.at(r.i - 1)}
	if r.text(r.i) == "table" {
		if use.name = r.text(r.i + 1); use.name == "" {
			r.errorf(r.i, "%s : the name of a table is missing", r.what)
			return false
		}
		r.i += 2
	}
	r.rule.Target = use.name
	r.p.proxy.tableUses = append(r.p.proxy.tableUses, use)
	return true
}

// checkTables looks for the tables that rules and expressions name.
func (p *parser) checkTables(s *proxyState) {
	if s.StickTable != nil {
		s.StickTable.Name = s.Name
	}
	for _, use := range s.tableUses {
		name := use.name
		if name == "" {
			name = s.Name
		}
		if !p.hasTable(name) {
			p.alert(use.at, "%s '%s' : unable to find table '%s' that is named here", s.Kind, s.Name, name)
		}
	}
}

// countedData is the data that a rule of tcp-request changes by the number of a counter, "" of all others.
func countedData(name string) string {
	for _, a := range ruleActions() {
		if a.name == name {
			return a.counted
		}
	}
	return ""
}

// counter reads the number of a counter behind the name of an action, 0 unless said.
func (r *ruleParser) counter(scope string) bool {
	if !strings.Contains(r.text(0), "(") {
		return true
	}
	name, closed := strings.CutSuffix(scope, ")")
	if !closed || name != "0" && name != "1" && name != "2" {
		r.errorf(0, "%s expects the number of a counter in parentheses, 0, 1 or 2", r.what)
		return false
	}
	r.rule.Slot = int(name[0] - '0')
	return true
}

// tag reads a number, or an expression that gives one.
func (r *ruleParser) tag() bool { return r.tagAt(r.set.where()) }

func (r *ruleParser) tagAt(where sample.Where) bool {
	text, ok := r.next("a number or an expression")
	if !ok {
		return false
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err == nil {
		r.rule.Bytes = int64(n)
		return true
	}
	r.i--
	return r.expressionAt(where)
}
