package check

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"regexp"
	"strconv"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// The dialogues of the checks that HAProxy has by name. What is sent and what is reported is HAProxy's, as measured on 2.6
// (testdata/haproxy.txt); the numbers of their steps count the connection where HAProxy's do.

// fixed sends the same each time.
func fixed(data string) func(*probe) []byte { return func(*probe) []byte { return []byte(data) } }

// firstLine is a server's first line behind offset, harmless.
func firstLine(in []byte, offset int) string {
	in = in[min(offset, len(in)):]
	if i := bytes.IndexAny(in, "\r\n"); i >= 0 {
		in = in[:i]
	}
	return printable(string(in))
}

// redis sends PING and expects +PONG.
func redis() []step {
	const pong = "+PONG\r\n"
	return []step{
		{number: 1, send: fixed("*1\r\n$4\r\nPING\r\n")},
		{number: 2, expect: &expectation{
			minRecv: len(pong), onEmpty: pool.CheckL7Sts, onTimeout: pool.CheckL7Tout,
			judge: func(_ *probe, in []byte, _ bool) (pool.CheckResult, bool) {
				if bytes.Contains(in, []byte(pong)) {
					return pool.CheckResult{Status: pool.CheckL7OK, Info: "Redis server is ok"}, true
				}
				return pool.CheckResult{Status: pool.CheckL7Sts, Info: firstLine(in, 0)}, true
			},
		}},
	}
}

// The replies of a mail server (RFC 5321, section 4.2): a last line, one that is good, and one that is good and may be
// followed by others.
var (
	smtpReply = regexp.MustCompile(`^[0-9]{3}[ \r]`)
	smtpGood  = regexp.MustCompile(`^2[0-9]{2}[ \r]`)
	smtpLines = regexp.MustCompile(`^2[0-9]{2}[- \r]`)
)

// smtp reads the greeting, says hello and quits.
func smtp(hello string) []step {
	line := func(number int, good *regexp.Regexp, bad pool.CheckStatus, word bool) step {
		return step{number: number, expect: &expectation{
			minRecv: 4, onEmpty: bad, onTimeout: pool.CheckL7Tout,
			judge: func(_ *probe, in []byte, _ bool) (pool.CheckResult, bool) {
				r := pool.CheckResult{Status: pool.CheckL7OK, Info: firstLine(in, 0)}
				if word {
					r.Code, _ = strconv.Atoi(string(in[:min(3, len(in))]))
					r.Info = firstLine(in, 4)
				}
				if !good.Match(in) {
					r.Status = bad
				}
				return r, true
			},
		}}
	}
	return []step{
		line(2, smtpReply, pool.CheckL7Rsp, false),
		line(3, smtpGood, pool.CheckL7Sts, true),
		{number: 4, send: fixed(hello + "\r\n")},
		line(5, smtpLines, pool.CheckL7Sts, true),
		{number: 6, send: fixed("QUIT\r\n")},
		line(7, smtpGood, pool.CheckL7Sts, true),
	}
}

// ldap binds without a name (RFC 4511, section 4.2) and expects success.
func ldap() []step {
	const bind = "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"
	foreign := pool.CheckResult{Status: pool.CheckL7Rsp, Info: "Not LDAPv3 protocol"}
	return []step{
		{number: 1, send: fixed(bind)},
		{number: 2, expect: &expectation{
			minRecv: len(bind), onEmpty: pool.CheckL7Rsp, onTimeout: pool.CheckL7Tout,
			judge: func(_ *probe, in []byte, _ bool) (pool.CheckResult, bool) {
				code, ok := bindResult(in)
				switch {
				case !ok:
					return foreign, true
				case code != 0:
					return pool.CheckResult{Status: pool.CheckL7Sts, Code: code, Info: "See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9"}, true
				}
				return pool.CheckResult{Status: pool.CheckL7OK}, true
			},
		}},
	}
}

// bindResult reads the result code of a BindResponse to message 1.
func bindResult(in []byte) (code int, ok bool) {
	rest, ok := bytes.CutPrefix(in, []byte{0x30})
	if !ok {
		return 0, false
	}
	if rest, ok = cutLength(rest); !ok {
		return 0, false
	}
	if rest, ok = bytes.CutPrefix(rest, []byte("\x02\x01\x01\x61")); !ok {
		return 0, false
	}
	if rest, ok = cutLength(rest); !ok || len(rest) < 3 || rest[0] != 0x0a || rest[1] != 1 {
		return 0, false
	}
	return int(rest[2]), true
}

// cutLength passes a length of the Basic Encoding Rules by.
func cutLength(in []byte) ([]byte, bool) {
	if len(in) == 0 {
		return nil, false
	}
	n := 1
	if in[0]&0x80 != 0 {
		n += int(in[0] & 0x7f)
	}
	if len(in) < n {
		return nil, false
	}
	return in[n:], true
}

// pgsqlAuth is a request for authentication of any kind: the server is there and talks.
var pgsqlAuth = regexp.MustCompile(`^R\x00\x00\x00(?s:.)\x00\x00\x00[\x00\x02-\x07\x09-\x0c]`)

// pgsql sends a startup message of protocol 3.0 and expects to be asked for authentication.
func pgsql(user string) []step {
	body := "\x00\x03\x00\x00user\x00" + user + "\x00\x00"
	startup := string(binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))) + body
	return []step{
		{number: 2, send: fixed(startup)},
		{number: 3, expect: &expectation{
			minRecv: 9, onEmpty: pool.CheckL7Rsp, onTimeout: pool.CheckL7Tout,
			judge: func(_ *probe, in []byte, _ bool) (pool.CheckResult, bool) {
				switch {
				case in[0] == 'E': // its first field is the severity
					text, _, _ := bytes.Cut(in[min(6, len(in)):], []byte{0})
					return pool.CheckResult{Status: pool.CheckL7Rsp, Info: printable(string(text))}, true
				case pgsqlAuth.Match(in):
					return pool.CheckResult{Status: pool.CheckL7OK, Info: "PostgreSQL server is ok"}, true
				}
				return pool.CheckResult{Status: pool.CheckL7Sts, Info: "PostgreSQL unknown error"}, true
			},
		}},
	}
}

// mysql reads the server's greeting and, with a user, logs in without a password and quits.
func mysql(c *config.HealthCheck) []step {
	all := []step{{number: 2, expect: mysqlPacket()}}
	if c.User == "" {
		return all
	}
	// Capabilities are those of a client of the 4.1 protocol, or of one before it.
	login := "\x00\x82\x00\x00\x00\x80\x00\x01\x21" + string(make([]byte, 23)) + c.User + "\x00\x00"
	if c.OldMySQL {
		login = "\x00\x80\x00\x00\x01" + c.User + "\x00\x00"
	}
	const quit = "\x01\x00\x00\x00\x01"
	return append(all, step{number: 3, send: fixed(string([]byte{byte(len(login)), 0, 0, 1}) + login + quit)}, step{number: 4, expect: mysqlPacket()})
}

// mysqlPacket expects a packet that is no error.
func mysqlPacket() *expectation {
	const header = 4 // the length, 3 bytes, and a sequence number
	return &expectation{
		onEmpty: pool.CheckL7Rsp, onTimeout: pool.CheckL7Tout,
		judge: func(_ *probe, in []byte, final bool) (pool.CheckResult, bool) {
			broken := pool.CheckResult{Status: pool.CheckL7Rsp}
			if len(in) <= header {
				return broken, final
			}
			length := int(in[0]) | int(in[1])<<8 | int(in[2])<<16
			if len(in) < header+length {
				return broken, final
			}
			packet := in[header : header+length]
			switch {
			case length == 0:
				return broken, true
			case packet[0] == 0xff && len(packet) < 3:
				return broken, true
			case packet[0] == 0xff:
				return pool.CheckResult{Status: pool.CheckL7Sts, Code: int(binary.LittleEndian.Uint16(packet[1:])), Info: printable(string(packet[3:]))}, true
			}
			return pool.CheckResult{Status: pool.CheckL7OK}, true
		},
	}
}

// sslHello sends the hello of an SSLv3 client and expects a handshake record, or an alert: both are TLS.
func sslHello() []step {
	return []step{
		{number: 1, send: clientHello},
		{number: 2, expect: &expectation{
			minRecv: 5, onEmpty: pool.CheckL6Rsp, onTimeout: pool.CheckL6Tout,
			judge: func(_ *probe, in []byte, _ bool) (pool.CheckResult, bool) {
				if in[0] == 0x15 || in[0] == 0x16 {
					return pool.CheckResult{Status: pool.CheckL6OK}, true
				}
				return pool.CheckResult{Status: pool.CheckL6Rsp}, true
			},
		}},
	}
}

// clientHello is the hello of SSLv3 (RFC 6101, section 5.6.1.2) with the ciphers of its time.
func clientHello(*probe) []byte {
	random := make([]byte, 32)
	binary.BigEndian.PutUint32(random, uint32(time.Now().Unix()))
	_, _ = rand.Read(random[4:])
	hello := append([]byte{3, 0}, random...)
	hello = append(hello, 0) // no session
	var ciphers []byte
	for c := range byte(0x3b) {
		if c >= 0x01 && c <= 0x1b || c >= 0x2f {
			ciphers = append(ciphers, 0, c)
		}
	}
	hello = binary.BigEndian.AppendUint16(hello, uint16(len(ciphers)))
	hello = append(append(hello, ciphers...), 1, 0) // no compression
	message := append([]byte{1, 0, 0, byte(len(hello))}, hello...)
	record := binary.BigEndian.AppendUint16([]byte{0x16, 3, 0}, uint16(len(message)))
	return append(record, message...)
}
