package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// numberRow is a line with a number, a size or a time in it, for which %s stands. Not among them: what HAProxy 2.6 does not
// know yet, tune.bufsize and tune.http.maxhdr, with whose small values it does not start or crashes, and sizes of captures, for
// which it has no memory.
type numberRow struct{ section, line string }

var numberRows = []numberRow{
	{"global", "maxconn %s"}, {"global", "nbthread %s"}, {"global", "stats timeout %s"}, {"global", "stats maxconn %s"},
	{"global", "hard-stop-after %s"}, {"global", "grace %s"}, {"global", "max-spread-checks %s"}, {"global", "spread-checks %s"},
	{"global", "tune.maxrewrite %s"},
	{"global", "tune.comp.maxlevel %s"}, {"global", "maxcomprate %s"}, {"global", "maxcompcpuusage %s"}, {"global", "tune.h2.max-concurrent-streams %s"},
	{"global", "stats socket /tmp/x mode %s"}, {"global", "log 127.0.0.1 len %s local0"}, {"global", "log 127.0.0.1 sample 1:%s local0"}, {"global", "log 127.0.0.1 sample %s:2 local0"},
	{"global", "stats socket /tmp/x maxconn %s"}, {"global", "stats socket /tmp/x backlog %s"}, {"global", "stats socket /tmp/x thread %s"}, {"global", "stats socket /tmp/x process %s"}, {"global", "stats socket /tmp/x uid %s"}, {"global", "stats socket /tmp/x gid %s"},
	{"global", "unix-bind mode %s"}, {"global", "unix-bind uid %s"}, {"global", "unix-bind gid %s"},
	{"global", "ssl-server-verify %s"},
	// Ignored.
	{"global", "ulimit-n %s"}, {"global", "fd-hard-limit %s"}, {"global", "maxpipes %s"}, {"global", "nbproc %s"}, {"global", "mworker-max-reloads %s"}, {"global", "uid %s"}, {"global", "gid %s"},
	{"global", "cpu-map %s 0"}, {"global", "cpu-map 1 %s"}, {"global", "thread-groups %s"}, {"global", "close-spread-time %s"},
	{"global", "tune.ssl.cachesize %s"}, {"global", "tune.ssl.capture-buffer-size %s"}, {"global", "tune.ssl.default-dh-param %s"}, {"global", "tune.ssl.lifetime %s"}, {"global", "tune.ssl.maxrecord %s"}, {"global", "tune.ssl.hard-maxrecord %s"}, {"global", "tune.ssl.ssl-ctx-cache-size %s"},
	{"global", "tune.h2.header-table-size %s"}, {"global", "tune.h2.initial-window-size %s"}, {"global", "tune.h2.max-frame-size %s"},
	{"global", "tune.vars.global-max-size %s"}, {"global", "tune.vars.proc-max-size %s"}, {"global", "tune.vars.reqres-max-size %s"}, {"global", "tune.vars.sess-max-size %s"}, {"global", "tune.vars.txn-max-size %s"},
	{"global", "maxzlibmem %s"}, {"global", "tune.buffers.limit %s"}, {"global", "tune.buffers.reserve %s"},
	{"global", "tune.idletimer %s"}, {"global", "tune.maxaccept %s"}, {"global", "tune.maxpollevents %s"}, {"global", "tune.pattern.cache-size %s"}, {"global", "tune.pipesize %s"}, {"global", "tune.pool-high-fd-ratio %s"}, {"global", "tune.pool-low-fd-ratio %s"},
	{"global", "tune.rcvbuf.client %s"}, {"global", "tune.rcvbuf.server %s"}, {"global", "tune.recv_enough %s"}, {"global", "tune.runqueue-depth %s"}, {"global", "tune.sndbuf.client %s"}, {"global", "tune.sndbuf.server %s"}, {"global", "tune.peers.max-updates-at-once %s"},
	{"global", "tune.lua.maxmem %s"}, {"global", "tune.lua.session-timeout %s"}, {"global", "tune.lua.task-timeout %s"}, {"global", "tune.lua.service-timeout %s"}, {"global", "tune.lua.forced-yield %s"}, {"global", "tune.fail-alloc %s"},
	{"global", "tune.listener.multi-queue %s"}, {"global", "tune.sched.low-latency %s"}, {"global", "tune.idle-pool.shared %s"}, {"global", "strict-limits %s"}, {"global", "profiling.tasks %s"},
	// Proxies.
	{"frontend", "maxconn %s"}, {"frontend", "rate-limit sessions %s"}, {"frontend", "backlog %s"},
	{"backend", "fullconn %s"}, {"backend", "id %s"}, {"backend", "retries %s"}, {"backend", "option redispatch %s"}, {"backend", "hash-balance-factor %s\n balance uri\n hash-type consistent"},
	{"backend", "balance uri len %s"}, {"backend", "balance uri depth %s"}, {"backend", "balance random(%s)"},
	{"backend", "cookie a insert maxidle %s"}, {"backend", "cookie a insert maxlife %s"},
	{"frontend", "capture request header x len %s"}, {"frontend", "capture response header x len %s"}, {"frontend", "capture cookie x len %s"},
	{"frontend", "http-request capture src len %s"}, {"frontend", "declare capture request len 9\n http-request capture src id %s"}, {"frontend", "declare capture response len 9\n http-response capture src id %s"},
	{"backend", "timeout check %s"}, {"frontend", "timeout client %s"}, {"frontend", "timeout client-fin %s"}, {"backend", "timeout connect %s"}, {"frontend", "timeout http-keep-alive %s"}, {"frontend", "timeout http-request %s"}, {"backend", "timeout queue %s"}, {"backend", "timeout server %s"}, {"backend", "timeout server-fin %s"}, {"frontend", "timeout tarpit %s"}, {"backend", "timeout tunnel %s"},
	{"frontend", "tcp-request inspect-delay %s"}, {"backend", "tcp-request inspect-delay %s"},
	{"frontend", "clitcpka-cnt %s"}, {"frontend", "clitcpka-idle %s"}, {"frontend", "clitcpka-intvl %s"}, {"backend", "srvtcpka-cnt %s"}, {"backend", "srvtcpka-idle %s"}, {"backend", "srvtcpka-intvl %s"},
	{"frontend", "stats refresh %s"},
	{"backend", "stick-table type ip size %s"}, {"backend", "stick-table type ip size 1k expire %s"}, {"backend", "stick-table type string len %s size 1k"}, {"backend", "stick-table type ip size 1k store http_req_rate(%s)"},
	{"backend", "stick-table type ip size 1k store gpc0,gpt0,gpc1\n http-request track-sc0 src\n http-request sc-inc-gpc0(%s)"}, {"backend", "stick-table type ip size 1k store gpt0\n http-request track-sc0 src\n http-request sc-set-gpt0(0) %s"},
	// Rules.
	{"frontend", "http-request deny deny_status %s"}, {"frontend", "http-request return status %s"}, {"frontend", "http-request redirect location / code %s"}, {"frontend", "redirect location / code %s"}, {"frontend", "http-response set-status %s"},
	{"backend", "http-request set-timeout server %s"}, {"backend", "http-request wait-for-body time %s"}, {"backend", "http-request wait-for-body time 1s at-least %s"},
	{"frontend", "errorfile %s /dev/null"}, {"frontend", "errorloc %s /x"}, {"frontend", "http-error status %s"},
	{"frontend", "http-request set-priority-class int(%s)"}, {"frontend", "acl a src_port %s"}, {"frontend", "acl a src_port gt %s"}, {"frontend", "acl a path_len %s:9"},
	{"frontend", "http-request set-header x %%[path,bytes(%s)]"}, {"frontend", "http-request set-header x %%[path,bytes(1,%s)]"}, {"frontend", "http-request set-header x %%[path,field(%s,/)]"}, {"frontend", "http-request set-header x %%[path,word(%s,/)]"}, {"frontend", "http-request set-header x %%[path,sha2(%s)]"}, {"frontend", "http-request set-header x %%[int(1),add(%s)]"}, {"frontend", "http-request set-header x %%[rand(%s)]"}, {"frontend", "http-request set-header x %%[path,crc32(%s)]"}, {"frontend", "http-request set-header x %%[date(%s)]"}, {"frontend", "http-request set-header x %%[hdr(x,%s)]"}, {"frontend", "http-request set-header x %%[src,ipmask(%s)]"}, {"frontend", "http-request set-header x %%[path,djb2(%s)]"}, {"frontend", "http-request set-header x %%[path,wt6(%s)]"}, {"frontend", "http-request set-header x %%[path,ltrim(%s)]"}, {"frontend", "http-request set-header x %%[date,ltime(a,%s)]"}, {"frontend", "http-request set-header x %%[path,json_query($.a,%s)]"}, {"frontend", "http-request set-header x %%[int(%s)]"}, {"frontend", "http-request set-header x %%[capture.req.hdr(%s)]"}, {"frontend", "http-request set-header x %%[bin(%s)]"}, {"frontend", "http-request set-header x %%[req.payload(0,%s)]"}, {"frontend", "http-request set-header x %%[req.payload_lv(%s,2)]"}, {"frontend", "http-request set-header x %%[nbsrv(%s)]"}, {"frontend", "http-request set-header x %%[int(5),div(%s)]"}, {"frontend", "http-request set-header x %%[int(5),mod(%s)]"},
	// Bind lines.
	{"frontend", "bind :2 maxconn %s"}, {"frontend", "bind :2 backlog %s"}, {"frontend", "bind :2 tcp-ut %s"}, {"frontend", "bind :2 nice %s"}, {"frontend", "bind :2 shards %s"}, {"frontend", "bind :2 thread %s"}, {"frontend", "bind :2 process %s"}, {"frontend", "bind :2 id %s"}, {"frontend", "bind /x mode %s"}, {"frontend", "bind /x uid %s"}, {"frontend", "bind /x gid %s"}, {"frontend", "bind :%s"}, {"frontend", "bind :1-%s"},
	// Servers.
	{"backend", "server s 1.1.1.1:%s"}, {"backend", "server s 1.1.1.1:+%s"}, {"backend", "server-template s %s 1.1.1.1:1"}, {"backend", "server-template s 1-%s 1.1.1.1:1"},
	{"backend", "server s 1.1.1.1:1 weight %s"}, {"backend", "server s 1.1.1.1:1 minconn %s"}, {"backend", "server s 1.1.1.1:1 maxconn %s"}, {"backend", "server s 1.1.1.1:1 maxqueue %s"}, {"backend", "server s 1.1.1.1:1 rise %s"}, {"backend", "server s 1.1.1.1:1 fall %s"}, {"backend", "server s 1.1.1.1:1 port %s"}, {"backend", "server s 1.1.1.1:1 id %s"},
	{"backend", "server s 1.1.1.1:1 inter %s"}, {"backend", "server s 1.1.1.1:1 fastinter %s"}, {"backend", "server s 1.1.1.1:1 downinter %s"}, {"backend", "server s 1.1.1.1:1 slowstart %s"}, {"backend", "server s 1.1.1.1:1 agent-check agent-port %s"}, {"backend", "server s 1.1.1.1:1 agent-inter %s"}, {"backend", "server s 1.1.1.1:1 error-limit %s"}, {"backend", "server s 1.1.1.1:1 tcp-ut %s"}, {"backend", "server s 1.1.1.1:1 source 1.1.1.1:%s"},
	{"backend", "server s 1.1.1.1:1 pool-low-conn %s"},

	{"backend", "source 1.1.1.1:%s"},
	// Checks.
	{"backend", "option tcp-check\n tcp-check connect port %s"}, {"backend", "option tcp-check\n tcp-check expect min-recv %s string x"}, {"backend", "option httpchk\n http-check connect port %s"}, {"backend", "option httpchk\n http-check expect status %s"}, {"backend", "option httpchk\n http-check expect status 200-%s"},
	// Resolvers, rings.
	{"resolvers", "resolve_retries %s"}, {"resolvers", "accepted_payload_size %s"}, {"resolvers", "timeout resolve %s"}, {"resolvers", "timeout retry %s"}, {"resolvers", "hold nx %s"}, {"resolvers", "hold obsolete %s"}, {"resolvers", "nameserver x 127.0.0.1:%s"},
	{"ring", "maxlen %s"}, {"ring", "timeout connect %s"}, {"ring", "timeout server %s"}, {"ring", "timeout client %s"},

	{"peers", "peer a 1.1.1.1:%s"}, {"peers", "peer %s 1.1.1.1:1"},
}

var numberValues = []string{"-1", "99999999999999999999", "1x", `""`, "0", "1", "10s"}

// sweepText puts lines into sections of their own, and says at which line of the text each is.
func sweepText(lines []numberRow) (text string, at []int) {
	var b strings.Builder
	b.WriteString("defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n mode http\n")
	n := 5
	for i, l := range lines {
		var head string
		switch l.section {
		case "global":
			head = "global\n"
		case "frontend":
			head = fmt.Sprintf("frontend f%d\n bind :1\n", i)
		case "backend":
			head = fmt.Sprintf("backend b%d\n", i)
		case "listen":
			head = fmt.Sprintf("listen l%d\n bind :1\n", i)
		case "resolvers":
			head = fmt.Sprintf("resolvers r%d\n nameserver n 127.0.0.1:53\n", i)
		case "ring":
			head = fmt.Sprintf("ring r%d\n server s 127.0.0.1:99\n timeout connect 1s\n timeout server 1s\n", i)
		case "peers":
			head = fmt.Sprintf("peers p%d\n server host\n", i)
		}
		n += strings.Count(head, "\n")
		at = append(at, n+1)
		n += strings.Count(l.line, "\n") + 1
		b.WriteString(head + " " + l.line + "\n")
	}
	return b.String(), at
}

var alertLine = regexp.MustCompile(`\[ALERT\].*config : (?:\[[^\]]*\] : )?(?:parsing )?\[[^\]]*:(\d+)\]`)

// haproxyVerdicts asks HAProxy which of some lines it takes. It stops after 50 errors, and is asked again about the others.
func haproxyVerdicts(t *testing.T, lines []numberRow) map[numberRow]bool {
	t.Helper()
	all := make(map[numberRow]bool)
	for len(lines) > 0 {
		text, at := sweepText(lines)
		out, ok := haproxyAccepts(t, text)
		var rest []numberRow
		bad := make(map[int]bool)
		for _, m := range alertLine.FindAllStringSubmatch(out, -1) {
			n, _ := strconv.Atoi(m[1])
			i, found := slices.BinarySearch(at, n)
			if !found {
				i--
			}
			if i < 0 {
				t.Fatal(out)
			}
			bad[i] = true
		}
		for i, l := range lines {
			if bad[i] || ok {
				all[l] = ok
			} else {
				rest = append(rest, l)
			}
		}
		if !ok && len(bad) == 0 { // found when all had been read
			if len(lines) == 1 {
				all[lines[0]] = false
				return all
			}
			half := len(lines) / 2
			maps.Copy(all, haproxyVerdicts(t, lines[:half]))
			rest = lines[half:]
		}
		lines = rest
	}
	return all
}

// lenient are rows of which we take values that HAProxy 2.6 refuses.
var lenient = map[string]string{
	"acl a src_port %s":                                  "a negative number needs no '--' before it",
	"acl a path_len %s:9":                                "a negative number needs no '--' before it",
	"http-request set-header x %%[req.payload(0,%s)]":    "an argument that is left out is 0",
	"http-request set-header x %%[req.payload_lv(%s,2)]": "an argument that is left out is 0",
	"http-request set-header x %%[nbsrv(%s)]":            "of a frontend without servers it finds nothing",
}

// strictNumbers are rows of which we refuse 0 or another value that HAProxy 2.6 takes, and why.
var strictNumbers = map[string]string{
	"capture request header x len %s":                     "nothing would be kept",
	"capture response header x len %s":                    "nothing would be kept",
	"capture cookie x len %s":                             "nothing would be kept",
	"stick-table type ip size 1k store http_req_rate(%s)": "a rate needs a time",
	"option httpchk\n http-check expect status %s":        "no such status can come",
	"resolve_retries %s":                                  "nothing would be asked",
}

// malformed are values that HAProxy takes in many places where it reads a number to the first other character, or into 32
// bits without looking. We refuse them everywhere (docs/haproxy-compatibility.md).
var malformed = []string{"-1", "99999999999999999999", "1x", `""`, "10s"}

// Numbers, times and sizes: what HAProxy refuses we refuse, and what it takes and is one we take.
func TestHAProxyTakesTheSameNumbers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts HAProxy for each 50 of its rows")
	}
	for _, v := range numberValues {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			var lines []numberRow
			for _, row := range numberRows {
				lines = append(lines, numberRow{row.section, fmt.Sprintf(row.line, v)})
			}
			verdicts := haproxyVerdicts(t, lines)
			for i, row := range numberRows {
				text, _ := sweepText(lines[i : i+1])
				_, _, err := parse(text)
				theirs := verdicts[lines[i]]
				switch {
				case theirs == (err == nil), err != nil && slices.Contains(malformed, v):
				case err == nil && lenient[row.line] != "", err != nil && strictNumbers[row.line] != "":
				default:
					t.Errorf("%s: %s\nHAProxy accepts it: %v, and we say %v", row.section, lines[i].line, theirs, err)
				}
			}
		})
	}
}
