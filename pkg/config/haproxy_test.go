package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"waggle/pkg/lab/haproxy"
)

// stricter are lines that HAProxy 2.6 accepts and we refuse: it reads a number until the first other
// character, passes some surplus words by, asks the resolver for what looks like a broken address, and
// trusts names and values.
var stricter = []string{
	"stats socket 127.0.0.1:1-2", "bind *:1-65535,*:1", "bind 1.2.3:80", "bind :80 maxconn x", "bind :80 interface abcdefghijklmnop",
	"http-request set-header X: y", `http-request set-header X a\r\nb`, "maxconn abc", "retries -1", "balance source 1", "option redispatch x",
	"server s 1.2.3.4:+x", "option httpchk GET / x", "http-check expect status 99", "stats auth admin", "backend a from",
	"tcp-check expect min-recv x string a", "maxcomprate x", "compression offload x", "server-state-file a\n server-state-file b", "source 10.0.0.1 interface a-name-of-17-byte",
	// HAProxy 2.6 prints an alert for these and goes on; 3.2 refuses them.
	"listen a :80", "default-server id 3", "backend a\nlisten a", "mode tcp\n server s 1.1.1.1:1 check observe layer7", "timeout queue 5mz", "defaults d\nbackend b from d\ndefaults d",
	// Of rings it says nothing before it uses them.
	"log ring@r local0", "timeout queue 1s", "server s 127.0.0.1", "server s 127.0.0:514",
	"email-alert from", "email-alert myhostname", "email-alert mailers", "mailers m\n mailer a 1.2.3:25",
	// Bounds of ours, and texts that would break the message they go into.
	"tcp-check connect" + strings.Repeat("\n tcp-check send a", maxCheckSteps), "option pgsql-check user " + strings.Repeat("x", 129), "node " + strings.Repeat("x", maxLine),
	"option httpchk\n http-check send meth G@T", `errorloc 503 a\ b`, "unique-id-header a:b", `redirect location / set-cookie "a\x01"`,
	`http-response set-status 404 reason "a\x01b"`, "resolvers a b", "http-send-name-header a:b", "http-send-name-header Host", "bind unix@", "bind abns@", "bind /a uid x", "server s unix@", "server-template s 2 /x", "peers p\n peer", "peers p\n peer host 1.2.3:4", "peers p\n server host\n table t type ip size 1\n table t type ip size 1", "peers p\n server host\n peer host ::1:1",
	"stick-table type ip size 1k store http_req_rate(0)", "tcp-request content sc-set-gpt0(0)",
}

// What we call a mistake HAProxy refuses too, apart from the lines above.
func TestHAProxyRefusesTheSameMistakes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts HAProxy for each of its rows")
	}
	for i, row := range slices.Concat(alertRows, rareAlertRows) {
		if strings.Contains(row.want, "not supported by waggle") || slices.Contains(stricter, row.line) {
			continue
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			if out, ok := haproxyAccepts(t, in(row.section, row.line)); ok {
				t.Errorf("%s: %s\nHAProxy accepts it, and we say: %s\n%s", row.section, row.line, row.want, out)
			}
		})
	}
}

// What we accept HAProxy accepts too.
func TestHAProxyAcceptsWhatWeAccept(t *testing.T) {
	if testing.Short() {
		t.Skip("starts HAProxy for each of its rows")
	}
	seed, err := os.ReadFile("testdata/seed.cfg")
	if err != nil {
		t.Fatal(err)
	}
	configs := []string{string(seed)}
	for _, line := range []string{
		"balance leastconn", "balance", "balance random(3)", "cookie a indirect preserve", "maxconn 100", "balance uri len 5 depth 2 whole", "balance url_param id", "balance hdr(host) use_domain_only", "balance hash path,lower",
		"balance uri\n hash-type consistent wt6 avalanche\n hash-balance-factor 150", "http-reuse always", "option forwardfor except 127.0.0.0/8 header X-C if-none",
		"server s 1.2.3.4:80 check inter 1s fastinter 500 downinter 2s rise 1 fall 2 weight 0 backup maxconn 3 maxqueue 4 slowstart 1s",
		"load-server-state-from-file local\n server-state-file-name use-backend-name", "load-server-state-from-file global\n server-state-file-name /x", "server-state-file-name",
		"source 1.2.3.4", "source 1.2.3.4:0 interface lo", "source ipv6@[::1]\n server s 1.2.3.4:80 source 1.2.3.4:1000-2000 interface lo check",
		"option nolinger\n option http-pretend-keepalive\n server s 1.2.3.4:80 tcp-ut 3s check addr localhost",
		"server s 1.2.3.4", "server s 1.2.3.4:+1", "server s ::1:80", "server s [::1]:80", "server s 1.2.3.4:80 init-addr last,libc,none,1.2.3.4",
		"server-template w 3 127.0.0.1:80", "server-template w 4-6 127.0.0.1:80 check port 81 addr 127.0.0.2 on-marked-down shutdown-sessions",
		"option httpchk\n http-check send meth GET uri /r ver HTTP/1.1 hdr Host x\n http-check expect status 200,300-399",
		"option httpchk GET /\n http-check connect port 81 comment a\n http-check send meth GET\n http-check expect ! rstatus ^5 comment b\n http-check connect\n http-check send uri /b body c\n http-check expect string ok\n http-check disable-on-404\n http-check send-state",
		"option tcp-check\n tcp-check connect port 81 send-proxy linger\n tcp-check comment a\n tcp-check send-lf %[be_name] comment b\n tcp-check send-binary 0a\n tcp-check expect min-recv 3 comment c error-status L7STS on-error d ! rstring ^x\n tcp-check expect rbinary ^0A",
		"option mysql-check user x post-41", "option mysql-check", "option pgsql-check user x", "option redis-check", "option smtpchk EHLO a.b", "option ldap-check", "option ssl-hello-chk",
		"server s 1.2.3.4:80 check agent-check agent-port 3 agent-addr 1.2.3.4 agent-inter 3s agent-send x\\n observe layer4 on-error mark-down error-limit 3 on-marked-up shutdown-backup-sessions check-send-proxy\n server t 1.2.3.4:80 track s",
		"stats enable\n stats uri /s\n stats refresh 5\n stats show-node\n stats show-legends\n stats realm a\\ b\n stats auth a:b\n stats scope .",
		"stick-table type ip size 1k store gpc0,gpc0_rate(10s),gpt0,gpc1,gpc1_rate(1m),http_fail_cnt,http_fail_rate(10s)\n http-request track-sc0 src\n http-request sc-inc-gpc0\n http-response sc-inc-gpc1(0)\n http-request sc-set-gpt0(0) int(5) if { src,table_gpc0(b) gt 1 } { src,in_table(b) } { sc_inc_gpc1(0) gt 1 } { table_avl gt 5 }",
		"acl a path_beg -i /A /b\n acl a hdr_dom(host) -m end x\n http-request deny deny_status 404 if a !{ src 10.0.0.0/8 ::1 } or { hdr_cnt(x) gt 3 }",
		"redirect scheme https code 301 if !{ ssl_fc } METH_GET", "http-request redirect prefix https://x unless TRUE", "no option httpclose\n no option allbackups",
		"server-template w 3 _http._tcp.web.local resolvers r check resolve-opts ignore-weight,allow-dup-ip resolve-prefer ipv4\n server s _http._tcp.web.local resolvers r\nresolvers r\n nameserver a tcp@127.0.0.1:53\n nameserver b [::1]:53\n nameserver c udp6@::1:54\n parse-resolv-conf",
		"acl a hdr(host) -i" + strings.Repeat(" a-name-that-is-"+strings.Repeat("x", 48)+".example.com", 50), "description " + strings.Repeat("x", 100_000),
		"option redispatch 3\n retries 5\n timeout queue 24d\n timeout check 2000",
	} {
		configs = append(configs, in("backend", line))
	}
	for _, line := range []string{
		"bind unix@/run/a.sock,/run/b.sock,abns@c mode 600 user root gid 0 uid 0 group root", "bind uxst@/a", "bind localhost:80 tcp-ut 3s\n option nolinger", "default_backend c\nbackend c\n server a /run/x\n server b unix@/run/x check\n server c abns@x send-proxy-v2",
		"bind *:80,:81,127.0.0.1:8000-8010 name x maxconn 3", "bind :::80 v4v6", "bind ipv6@:80 v6only", "bind ipv4@*:80", "monitor-uri /x\n backlog 10\n maxconn 10",
		"use_backend b if { path_reg ^/(a|b)\\.html$ } || { url_beg /x } { method GET POST }", "log stdout len 2000 format raw local0 info err",
		"log stdout sample 1,3-5:10 local0\n log unix@/dev/log sample 2,1:2 local0", "stats http-request deny unless { src 127.0.0.1 }\n stats http-request auth realm x if TRUE\n stats http-request allow",
		"log-format %[nbsrv(b)]%[ssl_fc_sni]", "acl a ssl_fc_sni_end .x\n acl b ssl_fc_sni_reg x$\n use_backend b if a b",
		`acl a hdr(host),lower -i "x y" 'z'` + "\n use_backend b unless a",
	} {
		configs = append(configs, in("frontend", line))
	}
	for i, text := range configs {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			if _, _, err := parse(text); err != nil {
				t.Errorf("we refuse\n%s\n%v", text, err)
			}
			if out, ok := haproxyAccepts(t, text); !ok {
				t.Errorf("HAProxy refuses\n%s\n%s", text, out)
			}
		})
	}
}

// haproxyAccepts has HAProxy check sections, and gives what it says about them.
func haproxyAccepts(t *testing.T, sections string) (string, bool) {
	t.Helper()
	// Without a listener it refuses for that reason.
	return haproxy.Accepts(t, sections+"\nfrontend listener\n bind :65000\n timeout client 1s\n")
}
