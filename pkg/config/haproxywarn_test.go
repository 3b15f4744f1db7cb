package config

import (
	"fmt"
	"strings"
	"testing"
)

const webDefaults = "defaults\n mode http\n timeout connect 1s\n timeout client 2s\n timeout server 2s\n"

// warnRow is a configuration that is valid and odd, or one that is wrong in a way that is easily missed. lines are those of a frontend,
// of a backend, of a listen section or of a defaults section, or a whole file.
type warnRow struct{ section, lines string }

var warnRows = []warnRow{
	// Rules behind others that run later.
	{"frontend", "use_backend b if { path /x }\n redirect location /y if { path /z }"},
	{"frontend", "redirect location /y if { path /z }\n http-request deny if { path /q }"},
	{"frontend", "use_backend b if TRUE\n http-request deny if { path /q }"},
	{"frontend", "http-request deny if { path /q }\n tcp-request content accept"},
	{"frontend", "use_backend b if TRUE\n tcp-request content accept"},
	{"frontend", "tcp-request content accept\n tcp-request connection accept"},
	{"frontend", "tcp-request content accept\n tcp-request session accept"},
	{"frontend", "tcp-request session accept\n tcp-request connection accept"},
	{"frontend", "http-request deny if FALSE\n tcp-request connection accept"},
	{"frontend", "http-request deny if FALSE\n redirect location /x if FALSE"},
	{"frontend", "http-request deny if FALSE\n monitor fail if FALSE\n monitor-uri /x"},
	{"frontend", "use_backend b if FALSE\n monitor fail if FALSE\n monitor-uri /x"},
	{"frontend", "monitor-uri /x\n monitor fail if FALSE\n tcp-request content accept"},
	{"frontend", "use_backend b if FALSE\n tcp-request inspect-delay 1s"},
	{"frontend", "use_backend b if FALSE\n http-response del-header x"},
	{"listen", "use-server s if FALSE\n use_backend b if FALSE"},
	{"listen", "use-server s if FALSE\n http-request deny if FALSE"},
	{"listen", "use-server s if FALSE\n redirect location / if FALSE"},
	// Rules that never run.
	{"frontend", "http-request return status 200\n http-request deny if FALSE"},
	{"frontend", "http-request redirect location /\n http-request deny if FALSE"},
	{"frontend", "http-request tarpit\n http-request deny if FALSE"},
	{"frontend", "http-request auth\n http-request deny if FALSE"},
	{"frontend", "http-request allow\n http-request deny if FALSE"},
	{"frontend", "http-request reject\n http-request deny if FALSE"},
	{"frontend", "http-request use-service prometheus-exporter\n http-request deny if FALSE"},
	{"frontend", "http-response deny\n http-response del-header x"},
	{"frontend", "http-after-response allow\n http-after-response del-header x"},
	{"frontend", "tcp-request content accept\n tcp-request content reject"},
	{"frontend", "redirect location /\n redirect location /x"},
	{"frontend", "use_backend b\n use_backend b if FALSE"},
	{"frontend", "stats enable\n stats http-request deny\n stats http-request allow"},
	{"frontend", "stats auth a:b\n stats auth a:c"},
	// Looking at the first bytes of TCP where there are requests.
	{"frontend", "tcp-request content accept if { req.len gt 0 }"}, {"frontend", "http-request deny if { req.ssl_sni a } or { req.ssl_sni b }"},
	{"frontend", "acl a req.ssl_sni a"}, {"frontend", "acl a req.ssl_sni a\n use_backend b if a"}, {"frontend", "http-request deny if WAIT_END"},
	{"frontend", "http-request set-header a %[req.ssl_sni]"}, {"backend", "use-server s if { req.ssl_hello_type 1 }"},
	{"frontend", "mode tcp\n tcp-request content accept if { req.ssl_sni a }\nfrontend f2\n bind :8002"},
	// Logs that nobody gets, and formats that others take the place of.
	{"frontend", "option httplog"}, {"frontend", "log-format %ci"}, {"frontend", "log-format-sd %ci"}, {"frontend", "error-log-format %ci"},
	{"frontend", "option httplog\n log global"}, {"frontend", "option tcplog\n log 127.0.0.1 local0"}, {"frontend", "no log\n option tcplog"},
	{"frontend", "log 127.0.0.1 local0\n option httplog\n log-format %ci"},
	{"defaults", "option httplog\n log-format %ci"}, {"defaults", "log-format %ci\n option httplog"}, {"defaults", "option httplog\n option tcplog"},
	{"defaults", "option tcplog\n option httplog"}, {"defaults", "option httplog\n option httplog"}, {"defaults", "log-format %ci\n log-format %cp"},
	{"defaults", "error-log-format %ci\n error-log-format %cp"},
	// What needs HTTP in a proxy of TCP.
	{"listen", "mode tcp\n option originalto"}, {"listen", "mode tcp\n option http-buffer-request"}, {"listen", "mode tcp\n capture cookie x len 3"},
	{"listen", "mode tcp\n option forwardfor\n option originalto"}, {"listen", "mode tcp\n monitor-uri /x"}, {"listen", "mode tcp\n balance uri"},
	{"listen", "mode tcp\n http-after-response del-header x"}, {"listen", "mode tcp\n stats enable"}, {"listen", "mode tcp\n option httpchk"},
	// What a proxy has no use for.
	{"backend", "tcp-request connection accept"}, {"backend", "tcp-request session accept"}, {"frontend", "default-server inter 3s"},
	{"frontend", "retry-on 503"}, {"frontend", "fullconn 3"}, {"backend", "maxconn 3"}, {"backend", "fullconn 0"},
	// Checks of the other kind.
	{"backend", "option httpchk\n option tcp-check"}, {"backend", "option httpchk GET /\n option tcp-check"},
	// ACLs that look at what is not there.
	{"frontend", "http-request deny if { status 200 }"}, {"frontend", "acl a res.hdr(x) y\n http-request deny if a"}, {"frontend", "tcp-request connection reject if { hdr(x) y }"},
	{"frontend", "http-response deny if { req.hdr(x) y }"}, {"frontend", "use_backend b if { status 200 }"},
	// Mails.
	{"backend", "email-alert from a"}, {"backend", "email-alert level debug"}, {"", "mailers m\n" + webDefaults + "frontend f\n bind :8000\n"},
	// Times that are said twice.
	{"frontend", "timeout client 5s\n timeout client 5s"}, {"frontend", "timeout client 2s\n timeout client 5s"}, {"defaults", "timeout client 1s\n timeout client 2s"},
	{"frontend", "timeout client 5s\n timeout client 2s\n timeout client 4s"},
	// Errors where there would be nothing to send.
	{"frontend", `http-request set-header x ""`}, {"frontend", `http-request add-header x "${WAGGLE_TEST_UNSET}"`}, {"frontend", `http-request replace-header x a ""`},
	{"frontend", `http-request set-path ""`}, {"frontend", `http-request set-query ""`}, {"frontend", `http-request replace-path a ""`}, {"frontend", `http-response set-header x ""`},
	{"frontend", `http-request set-var-fmt(txn.x) ""`}, {"frontend", "http-request set-header x %[str()]"},
	{"frontend", `http-request return content-type text/plain string ""`}, {"frontend", `http-request return hdr x ""`},
	{"frontend", "http-request deny deny_status 418"}, {"frontend", "http-request deny deny_status 418 hdr x y"}, {"frontend", "http-request deny deny_status 421"},
	{"frontend", "http-request deny deny_status 418 content-type text/plain string x"}, {"frontend", "http-request tarpit deny_status 418"}, {"frontend", "http-request return status 299"},
	{"frontend", "http-request return status 299 default-errorfiles"}, {"frontend", "http-request return status 404 default-errorfiles"},
	{"", "http-errors e\n errorfile 503 /dev/null\n" + webDefaults + "frontend f\n bind :8000\n http-request deny deny_status 418 errorfiles e\n"},
	{"backend", "maxconn 100"}, {"backend", "use-server s"}, {"backend", "load-server-state-from-file global"},
	// Sections that begin with rules.
	{"defaults", "redirect location /"},
	{"", "defaults d\n mode http\n http-request deny if FALSE\ndefaults e from d\n mode http\n"},
	{"", "defaults d\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n http-request deny if FALSE\nlisten l from d\n bind :8000\n server s 127.0.0.1:80\n"},
	{"", "defaults d\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n tcp-request content accept\nbackend b from d\n server s 127.0.0.1:80\nfrontend f from d\n bind :8000\n"},
	{"", "defaults d\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n http-request deny\nfrontend f from d\n bind :8000\n tcp-request content accept\n http-request allow\n"},
}

func (r warnRow) text() string {
	front, back, whole := "", "", ""
	switch r.section {
	case "":
		return r.lines
	case "frontend":
		front = " " + r.lines + "\n"
	case "backend":
		back = " " + r.lines + "\n"
	case "listen":
		whole = "listen l\n bind :8001\n server s 127.0.0.1:80\n " + r.lines + "\n"
	case "defaults":
		return "defaults\n " + r.lines + "\n" + webDefaults + "frontend f\n bind :8000\n"
	}
	return webDefaults + "frontend f\n bind :8000\n" + front + " default_backend b\nbackend b\n server s 127.0.0.1:80\n" + back + whole
}

// TestHAProxyWarnsOfTheSame: what is refused, what is warned of, and what is not worth a word.
func TestHAProxyWarnsOfTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("starts HAProxy for each of its rows")
	}
	for i, row := range warnRows {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			text := row.text()
			_, said, err := Parse("t.cfg", []byte(text), pure(map[string]string{"/dev/null": ""}))
			ours := 0
			for _, d := range said {
				if d.Severity == Warning {
					ours++
				}
			}
			out, ok := haproxyAccepts(t, text)
			if ok != (err == nil) {
				t.Errorf("%s\nHAProxy accepts it: %v, and we say %v\n%s", text, ok, err, out)
				return
			}
			if theirs := strings.Count(out, "[WARNING]"); ok && theirs != ours {
				t.Errorf("%s\nHAProxy warns of %d things, and we of %d: %v\n%s", text, theirs, ours, said, out)
			}
		})
	}
}
