package check

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// maxStatusLine bounds what is read of an answer, in bytes. Only its first line matters.
const maxStatusLine = 1024

// maxReason bounds the reason phrase that is shown to people, in bytes.
const maxReason = 80

// probeHTTP sends the request and judges the status of the answer.
func probeHTTP(conn net.Conn, h *config.HTTPCheck) pool.CheckResult {
	if _, err := conn.Write(request(h)); err != nil {
		return answerFailure(err)
	}
	line, err := bufio.NewReaderSize(io.LimitReader(conn, maxStatusLine), maxStatusLine).ReadString('\n')
	if err != nil {
		return answerFailure(err)
	}
	code, reason, ok := parseStatusLine(line)
	switch {
	case !ok:
		return pool.CheckResult{Status: pool.CheckL7Rsp, Info: "Invalid HTTP status line"}
	case !expected(h.ExpectStatus, code):
		return pool.CheckResult{Status: pool.CheckL7Sts, Code: code, Info: reason}
	default:
		return pool.CheckResult{Status: pool.CheckL7OK, Code: code}
	}
}

func answerFailure(err error) pool.CheckResult {
	switch {
	case isTimeout(err):
		return pool.CheckResult{Status: pool.CheckL7Tout}
	case errors.Is(err, io.EOF):
		return pool.CheckResult{Status: pool.CheckL7Rsp, Info: "No complete HTTP status line"}
	default:
		return pool.CheckResult{Status: pool.CheckL7Rsp, Info: info(err)}
	}
}

// request renders the check's request. The connection is always asked to be closed, and the length of
// the body is ours to say (`http-check send`).
func request(h *config.HTTPCheck) []byte {
	var b strings.Builder
	b.WriteString(orWord(h.Method, "OPTIONS") + " " + orWord(h.URI, "/") + " " + orWord(h.Version, "HTTP/1.0") + "\r\n")
	b.WriteString("Connection: close\r\n")
	for _, f := range h.Headers {
		switch textproto.CanonicalMIMEHeaderKey(f[0]) {
		case "Connection", "Content-Length", "Transfer-Encoding":
		default:
			b.WriteString(f[0] + ": " + f[1] + "\r\n")
		}
	}
	if h.Body != "" {
		b.WriteString("Content-Length: " + strconv.Itoa(len(h.Body)) + "\r\n")
	}
	return []byte(b.String() + "\r\n" + h.Body)
}

func orWord(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// parseStatusLine reads "HTTP/1.1 200 OK" (RFC 9112, section 4). The reason may be missing, with its
// space; what of it is not printable ASCII is left out.
func parseStatusLine(line string) (code int, reason string, ok bool) {
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	version, rest, _ := strings.Cut(line, " ")
	if len(version) != len("HTTP/1.1") || !strings.HasPrefix(version, "HTTP/") || !digit(version[5]) || version[6] != '.' || !digit(version[7]) {
		return 0, "", false
	}
	status, reason, _ := strings.Cut(rest, " ")
	if len(status) != 3 || status[0] < '1' || status[0] > '9' || !digit(status[1]) || !digit(status[2]) {
		return 0, "", false
	}
	code, _ = strconv.Atoi(status)
	return code, printable(reason), true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), maxReason)]
}

// expected says whether a status is one of those wanted; by default 200 to 399.
func expected(want []config.StatusRange, code int) bool {
	if len(want) == 0 {
		return code >= 200 && code <= 399
	}
	for _, r := range want {
		if code >= r.Low && code <= r.High {
			return true
		}
	}
	return false
}
