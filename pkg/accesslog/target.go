package accesslog

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Target is one `log` line (HAProxy's manual, chapter 3.1).
type Target struct {
	// Address is stdout, stderr, fd@N, an absolute path of a datagram socket (/dev/log, also as unix@path), or
	// host[:port] for UDP (also as udp@, ipv4@, ipv6@), port 514 unless said. Names are resolved once, by New.
	Address string
	// Format is raw, short, timed, iso, local, priority, rfc3164 or rfc5424; "" is local, or rfc3164 when Options has
	// a Hostname, as in HAProxy for every kind of target.
	Format string
	// Length is where lines are cut off, in bytes without the line end: 80 to 65535, 0 = 1024.
	Length int
	// Facility is a syslog facility such as local0; "" is daemon.
	Facility string
	// Level is the least severe level that is written, "" = all. MinLevel is the most severe level that a line
	// is given, "" = emerg: what is more severe is written as this.
	Level, MinLevel string
	// Ring takes the place of Address. Its section says the format and the length of lines; Length is that of their text.
	Ring *Ring
	// Sample has only some of the lines written, of those that the levels let through. The zero value is all.
	Sample Sample
}

// Sample chooses lines: of each Size in a row those whose numbers, from 1, are in Ranges, which are in order. A Size of 0
// chooses all.
type Sample struct {
	Ranges [][2]int // first and last
	Size   int
}

// The format names.
const (
	formatRaw      = "raw"
	formatShort    = "short"
	formatTimed    = "timed"
	formatISO      = "iso"
	formatLocal    = "local"
	formatPriority = "priority"
	formatRFC3164  = "rfc3164"
	formatRFC5424  = "rfc5424"
)

const (
	defaultLength = 1024
	minLength     = 80
	maxLength     = 65535
)

// target is a Target that was understood.
type target struct {
	format        string
	length        int // of a line with its header
	text          int // of the text alone
	facility      int
	level, capped Level
	sink          sink

	// What belongs to the writer: whether the last write waited in vain, and lines that go out together.
	stuck          bool
	pending        []byte
	lines          int
	room           int // bytes that pending may have; one line always fits
	tag, host, pid string
	loc            *time.Location
	sample         Sample
	counted        int // lines of the sample under way
}

func newTarget(t Target, o *Options) (*target, error) {
	if t.Ring != nil {
		t.Address, t.Format = "ring@"+t.Ring.Name(), cmp.Or(t.Ring.cfg.Format, formatRaw)
	}
	p := &target{
		format: t.Format, length: t.Length, level: Debug,
		sample: t.Sample, tag: o.Tag, host: o.Hostname, pid: strconv.Itoa(o.PID), loc: o.Location,
	}
	switch p.format {
	case "":
		p.format = formatLocal
		if p.host != "" {
			p.format = formatRFC3164
		}
	case formatRaw, formatShort, formatTimed, formatISO, formatLocal, formatPriority, formatRFC3164, formatRFC5424:
	default:
		return nil, fmt.Errorf("log target '%s': unknown format '%s'", t.Address, t.Format)
	}
	if p.length == 0 {
		p.length = defaultLength
	}
	if p.length < minLength || p.length > maxLength {
		return nil, fmt.Errorf("log target '%s': length %d is not within %d-%d", t.Address, t.Length, minLength, maxLength)
	}
	if err := p.severities(t); err != nil {
		return nil, err
	}
	p.text = p.length
	if t.Ring != nil {
		p.length, p.sink = min(t.Ring.cfg.MaxLength, maxLength), ringSink{t.Ring}
		return p, nil
	}
	s, err := openSink(t.Address)
	if err != nil {
		return nil, fmt.Errorf("log target '%s': %w", t.Address, err)
	}
	p.sink = s
	if _, stream := s.(*fdSink); stream {
		p.room = pipeRoom // a datagram is one line
	}
	return p, nil
}

func (p *target) severities(t Target) error {
	var ok bool
	if p.facility, ok = parseFacility(strings.ToLower(cmp.Or(t.Facility, "daemon"))); !ok {
		return fmt.Errorf("log target '%s': unknown facility '%s'", t.Address, t.Facility)
	}
	if p.level, ok = ParseLevel(strings.ToLower(cmp.Or(t.Level, "debug"))); !ok {
		return fmt.Errorf("log target '%s': unknown level '%s'", t.Address, t.Level)
	}
	if p.capped, ok = ParseLevel(strings.ToLower(cmp.Or(t.MinLevel, "emerg"))); !ok {
		return fmt.Errorf("log target '%s': unknown level '%s'", t.Address, t.MinLevel)
	}
	return nil
}

// wants counts a line and says whether it is among the sample.
func (p *target) wants() bool {
	if p.sample.Size == 0 {
		return true
	}
	if p.counted++; p.counted > p.sample.Size {
		p.counted = 1
	}
	for _, r := range p.sample.Ranges {
		if p.counted >= r[0] && p.counted <= r[1] {
			return true
		}
	}
	return false
}

// appendLine appends one whole line as this target wants it, cut to its length, with line end. data is what only lines in
// rfc5424 have.
func (p *target) appendLine(dst []byte, level Level, now time.Time, data, text []byte) []byte {
	from := len(dst)
	dst = p.appendHeader(dst, max(level, p.capped), now)
	if p.format == formatRFC5424 {
		dst = appendData(dst, data, p.length-(len(dst)-from))
	}
	room := min(p.length-(len(dst)-from), p.text)
	if room < len(text) {
		text = text[:max(room, 0)]
	}
	dst = append(dst, text...)
	return append(dst, '\n')
}

func (p *target) appendHeader(dst []byte, level Level, now time.Time) []byte {
	const iso = "2006-01-02T15:04:05.000000-07:00"
	now = now.In(p.loc)
	switch p.format {
	case formatRaw:
		return dst
	case formatShort:
		return appendPriority(dst, int(level))
	case formatTimed:
		dst = appendPriority(dst, int(level))
		return append(now.AppendFormat(dst, iso), ' ')
	case formatISO:
		return append(now.AppendFormat(dst, iso), ' ')
	}
	dst = appendPriority(dst, p.facility*8+int(level))
	if p.format == formatPriority {
		return dst
	}
	if p.format == formatRFC5424 {
		dst = append(dst, "1 "...)
		dst = append(now.AppendFormat(dst, iso), ' ')
		return appendWords(dst, cmp.Or(p.host, "-"), " ", p.tag, " ", p.pid, " - ")
	}
	dst = append(now.AppendFormat(dst, time.Stamp), ' ')
	if p.format == formatRFC3164 {
		dst = appendWords(dst, cmp.Or(p.host, "localhost"), " ")
	}
	return appendWords(dst, p.tag, "[", p.pid, "]: ")
}

// appendData appends the structured data of a line (RFC 5424, section 6.3), the sign for none if it is empty or has no room:
// cut off it would be none.
func appendData(dst, data []byte, room int) []byte {
	if len(data) == 0 || len(data) >= room {
		data = noData
	}
	return append(append(dst, data...), ' ')
}

var noData = []byte{'-'}

func appendPriority(dst []byte, n int) []byte {
	dst = append(dst, '<')
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, '>')
}

func appendWords(dst []byte, words ...string) []byte {
	for _, w := range words {
		dst = append(dst, w...)
	}
	return dst
}
