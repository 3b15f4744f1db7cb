package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"waggle/pkg/lab/message"
)

// in gives a section with one line in it, and the rest of a configuration that is right.
func in(section, line string) string {
	head := "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n mode http\n"
	switch section {
	case "global":
		return "global\n " + line + "\n"
	case "resolvers":
		return "resolvers r\n nameserver n 127.0.0.1\n " + line + "\n"
	case "userlist":
		return "userlist u\n " + line + "\n"
	case "ring":
		return "ring r\n " + line + "\n"
	case "defaults":
		return head + " " + line + "\n"
	case "frontend":
		return head + "backend b\nfrontend f\n bind :1\n " + line + "\n"
	case "backend":
		return head + "backend b\n " + line + "\n"
	case "listen":
		return head + "listen l\n bind :1\n " + line + "\n"
	default:
		return line + "\n"
	}
}

// alertRow is one message: where, the line, the column it points to, and the text.
type alertRow struct {
	section, line string
	col           int
	want          string
}

var alertRows = []alertRow{
	// Lines and keywords.
	{"", "maxconn 3", 1, "unknown keyword 'maxconn' out of section"},
	{"global", "daemn", 2, "unknown keyword 'daemn' in 'global' section; did you mean 'daemon' maybe ?"},
	{"", "globl", 1, "unknown keyword 'globl' out of section; did you mean 'global' maybe ?"},
	{"global", "xyzzy 1", 2, "unknown keyword 'xyzzy' in 'global' section"},
	{"global", `node "x`, 7, "unmatched quote at position 7"},
	{"global", ".alert no good", 2, "no good"},
	{"global", ".iff", 2, "unknown directive '.iff'"},
	{"global", "no maxconn 3", 5, "'maxconn' cannot be negated: 'no' and 'default' work on options and logs only"},
	{"frontend", "daemon", 2, "unknown keyword 'daemon' in 'frontend' section; it belongs to: global"},
	{"frontend", "server s 1.2.3.4:80", 2, "unknown keyword 'server' in 'frontend' section; it belongs to: listen, backend"},
	{"defaults", "bind :80", 2, "'bind' not allowed in 'defaults' section"},
	{"frontend", "timeout clientt 3s", 10, "unknown keyword 'timeout clientt' in 'frontend' section; did you mean 'timeout client' maybe ?"},
	{"frontend", "option httpogl", 9, "unknown option 'httpogl'; did you mean 'httplog' maybe ?"},
	{"frontend", "capture request", 10, "'capture request' in 'frontend' section expects one of 'capture cookie', 'capture request header', 'capture response header'"},
	{"resolvers", "hold", 2, "'hold' in 'resolvers' section expects one of 'nx', 'obsolete', 'other', 'refused', 'timeout', 'valid'"},
	{"frontend", "compression", 2, "'compression' in 'frontend' section expects one of 'algo', 'direction', 'offload', 'type'"},
	{"frontend", `rspadd X-A:\ b`, 2, "'rspadd' is gone from HAProxy; use 'http-response add-header <name> <value>'"},
	{"frontend", "reqidel X-A", 2, "'reqidel' is gone from HAProxy; use 'http-request del-header <name>'"},
	{"defaults", "contimeout 5000", 2, "'contimeout' is gone from HAProxy; use 'timeout connect'"},
	{"defaults", "http-request deny", 2, "'http-request' is not allowed in anonymous 'defaults' sections"},
	{"", "peers", 1, "'peers' expects a name"},
	{"frontend", "bind :2 tcp-ut x", 17, "'bind' : 'tcp-ut' expects a time such as 500ms, 30s or 2m, not 'x'"},
	{"frontend", "http-request lua.check", 15, "'lua.check' is an action of a Lua script, and waggle runs none"},
	{"global", "default-path here", 15, "unknown mode 'here' in 'default-path', expected one of 'current', 'config', 'parent', 'origin'"},
	{"global", "default-path origin", 15, "'default-path' : 'origin' expects a path"},
	{"global", "localpeer", 2, "'localpeer' expects a name"},
	{"backend", "http-send-name-header", 2, "'http-send-name-header' expects the name of a header"},
	{"backend", "http-send-name-header a:b", 24, "'http-send-name-header' expects the name of a header, not 'a:b'"},
	{"backend", "http-send-name-header Host", 24, "'http-send-name-header' : 'Host' says what a request is, and cannot carry a name"},
	{"backend", "stick-table type ip size 1k srvkey addr", 30, "'srvkey' on a 'stick-table' line is valid HAProxy but not supported by waggle yet"},
	{"frontend", "bind unix@", 7, "'bind' : the name of the unix socket is missing"},
	{"frontend", "bind abns@", 7, "'bind' : the name of the unix socket is missing"},
	{"frontend", "bind /" + strings.Repeat("x", 97), 7, "'bind' : socket path '/" + strings.Repeat("x", 97) + "' too long (max 97)"},
	{"frontend", "bind /a mode 9", 15, "'mode' of 'bind' expects octal permission bits such as 660, not '9'"},
	{"frontend", "bind /a uid x", 14, "'bind' : 'x' is not the number of a user or group"},
	{"global", "unix-bind prefix", 12, "'unix-bind' : 'prefix' expects a value"},
	{"global", "unix-bind path /x", 12, "'unix-bind' knows 'prefix', 'mode', 'user', 'uid', 'group' and 'gid', not 'path'"},
	{"backend", "server s unix@", 11, "'server s' : the name of the unix socket is missing"},
	{"backend", "server-template s 2 /x", 22, "server-template 's' : a unix socket is one server's; write 'server' lines"},
	{"", "peers a/b", 7, "character '/' is not permitted in 'peers' name 'a/b'"},
	{"", "peers p\n server host\npeers p", 7, "peers section 'p' has the same name as the one declared at t.cfg:1"},
	{"", "peers p\n peer", 2, "'peer' expects <name> and <addr>:<port> as arguments"},
	{"", "peers p\n server host\n peer host ::1:1", 7, "peer 'host' of peers section 'p' has the same name as the one declared at t.cfg:2"},
	{"", "peers p\n peer host 1.2.3:4", 12, "'peer host' : invalid address '1.2.3' in '1.2.3:4'"},
	{"", "peers p\n server host\n table", 2, "'table' expects a name and the arguments of 'stick-table'"},
	{"", "peers p\n server host\n table t type ip", 2, "'stick-table' : 'size' has to be from 1 to 10485760"},
	{"", "peers p\n server host\n table t type ip size 1\n table t type ip size 1", 8, "'table' : peers section 'p' has a table 't' already"},

	// Lists of users.
	{"", "userlist", 1, "'userlist' expects a name"},
	{"userlist", "user", 2, "'user' expects <name> as arguments"},
	{"userlist", "user a pasword x", 9, "'user' only supports 'password', 'insecure-password' and 'groups' options; did you mean 'password' maybe ?"},
	{"userlist", "user a password abNANd1rDfiNc", 18, "user 'a' : a hash of DES is valid HAProxy but not supported by waggle: 'mkpasswd -m sha-512' makes one that is"},
	{"userlist", "user a password $y$j9T$a$b", 18, "user 'a' : a hash of kind $y$ is valid HAProxy but not supported by waggle: 'mkpasswd -m sha-512' makes one that is"},
	{"userlist", "user a insecure-password x groups h", 36, "userlist 'u' : no such group 'h' specified in user 'a'"},
	{"userlist", "group", 2, "'group' expects <name> as arguments"},
	{"userlist", "group h user a", 10, "'group' only supports 'users' option"},
	{"userlist", "group h users nobody", 16, "userlist 'u' : no such user 'nobody' specified in group 'h'"},
	{"frontend", "http-request deny unless { http_auth(nobody) }", 20, "frontend 'f' : unable to find userlist 'nobody' that is named here"},
	{"frontend", "http-request auth realm", 20, "'http-request auth' expects a text behind 'realm'"},

	// Sections.
	{"", "global x", 8, "'global' cannot handle unexpected argument 'x'"},
	{"", "frontend", 1, "'frontend' expects a name"},
	{"", "backend a/b", 9, "character '/' is not permitted in 'backend' name 'a/b'"},
	{"", "listen a :80", 10, "please use the 'bind' keyword for listening addresses"},
	{"", "backend a from", 11, "'from' expects the name of a defaults section"},
	{"", "backend a from d", 16, "defaults section 'd' not found for backend 'a'"},
	{"", "defaults d\nbackend b from d\ndefaults d", 10, "defaults section 'd' has the same name as the one declared at t.cfg:1, which is in use"},
	{"", "backend a\nbackend a", 9, "backend 'a' has the same name as backend 'a' declared at t.cfg:1"},
	{"", "backend a\nlisten a", 8, "listen 'a' has the same name as backend 'a' declared at t.cfg:1"},
	{"", "resolvers a\nresolvers a", 11, "resolvers 'a' has the same name as resolvers 'a' declared at t.cfg:1"},
	{"", "resolvers", 1, "'resolvers' expects a name"},

	// Numbers, times and sizes.
	{"global", "maxconn", 2, "'maxconn' expects an integer argument"},
	{"global", "maxconn abc", 10, "'maxconn' expects an integer between 0 and 2147483647, not 'abc'"},
	{"global", "maxconn 1 2", 12, "'maxconn' cannot handle unexpected argument '2'"},
	{"global", "spread-checks 51", 16, "'spread-checks' expects an integer between 0 and 50, not '51'"},
	{"global", "tune.bufsize 1x", 15, "'tune.bufsize' expects a size below 2g such as 16384 or 16k, not '1x'"},
	{"global", "tune.bufsize 2g", 15, "'tune.bufsize' expects a size below 2g such as 16384 or 16k, not '2g'"},
	{"global", "tune.bufsize 1", 15, "'tune.bufsize' expects at least 1024, not '1'"},
	{"defaults", "timeout queue", 2, "'timeout queue' expects a time such as 500ms, 30s or 2m"},
	{"defaults", "timeout queue 5z", 16, "unexpected character 'z' in 'timeout queue': a time ends in us, ms, s, m, h or d"},
	{"defaults", "timeout queue 5mz", 16, "unexpected character 'z' in 'timeout queue': a time ends in us, ms, s, m, h or d"},
	{"defaults", "timeout queue -5", 16, "unexpected character '-' in 'timeout queue'"},
	{"defaults", "timeout queue soon", 16, "'timeout queue' expects a time such as 500ms, 30s or 2m, not 'soon'"},
	{"defaults", "timeout queue 25d", 16, "timer overflow in argument '25d' to 'timeout queue' (maximum value is 2147483647 ms or ~24.8 days)"},
	{"defaults", "timeout queue 1s 2s", 19, "'timeout queue' cannot handle unexpected argument '2s'"},
	{"defaults", "retries -1", 10, "'retries' expects an integer between 0 and 1000, not '-1'"},

	// Mails, of which none is sent.
	{"", "mailers", 1, "'mailers' expects a name"},
	{"", "mailers m\nmailers m", 9, "mailers section 'm' has the same name as the one declared at t.cfg:1"},
	{"", "mailers m\n mailer a", 2, "'mailer' expects <name> and <addr>:<port> as arguments"},
	{"", "mailers m\n mailer a/b 1.1.1.1:25", 9, "character '/' is not permitted in mailer name 'a/b'"},
	{"", "mailers m\n mailer a 1.2.3:25", 11, "'mailer a' : invalid address '1.2.3' in '1.2.3:25'"},
	{"", "mailers m\n mailer a 1.1.1.1", 11, "'mailer a' : missing port specification in '1.1.1.1'"},
	{"backend", "email-alert from", 2, "'email-alert from' expects an address"},
	{"backend", "email-alert myhostname", 2, "'email-alert myhostname' expects a host name"},
	{"backend", "email-alert mailers", 2, "'email-alert mailers' expects the name of a mailers section"},
	{"backend", "email-alert from a\n email-alert to b\n email-alert mailers m", 22, "backend 'b' : unable to find mailers section 'm' that is named here"},

	// What expressions name.
	{"frontend", "http-request deny if { fe_conn(x) gt 1 }", 20, "frontend 'f' : unable to find frontend 'x' that is named here"},
	{"frontend", "http-request deny if { srv_is_up(bb/x) }", 20, "frontend 'f' : unable to find backend 'bb' that is named here; did you mean 'b' maybe ?"},
	{"frontend", "http-request deny if { srv_is_up(b/x) }", 20, "frontend 'f' : unable to find server 'b/x' that is named here"},
	{"frontend", "http-request deny if { srv_conn(b/) gt 1 }", 25, "error detected while parsing a condition of 'http-request deny' : fetch method 'srv_conn' expects the name of a server, with or without its backend's and '/' before it"},

	// Values of what is ignored.
	{"global", "tune.fail-alloc 101", 18, "'tune.fail-alloc' expects an integer between 0 and 100, not '101'"},
	{"global", "ulimit-n", 2, "'ulimit-n' expects a value"},
	{"global", "profiling.tasks maybe", 18, "'profiling.tasks' expects one of 'on', 'off', 'auto', not 'maybe'"},
	{"global", "noepoll x", 10, "'noepoll' cannot handle unexpected argument 'x'"},
	{"global", "nbproc 2", 2, "'nbproc' is gone from HAProxy; use 'nbthread'"},
	{"global", "cpu-map 1", 2, "'cpu-map' expects threads and CPUs"},
	{"global", "cpu-map auto:1/x 0", 10, "'cpu-map' expects 'all', 'odd', 'even', or numbers and ranges from 1 to 64, not '1/x'"},
	{"global", "cpu-map auto:1/1-2 0 3-x", 23, "'cpu-map' expects numbers and ranges of CPUs from 0 to 1023, not '3-x'"},
	{"global", "stats timeout 0", 16, "'stats timeout' expects a time above 0"},
	{"global", "stats socket /x maxconn -1", 26, "'stats socket' : 'maxconn' expects an integer between 0 and 2147483647, not '-1'"},
	{"global", "stats socket /x uid", 18, "'stats socket' : 'uid' expects a value"},
	{"frontend", "bind :2 nice 1025", 15, "'bind' : 'nice' expects an integer between -1024 and 1024, not '1025'"},
	{"frontend", "bind :2 shards some", 17, "'bind' : 'shards' expects 'by-thread', 'by-group' or an integer between 1 and 64, not 'some'"},
	{"frontend", "bind :2 thread 1,1-0", 17, "'bind' : 'thread' expects 'all', 'odd', 'even', or numbers and ranges from 1 to 1024, not '1,1-0'"},
	{"frontend", "bind :2 id 0", 13, "'bind' : 'id' expects an integer between 1 and 2147483647, not '0'"},
	{"backend", "server s 1.1.1.1:1 shard x", 27, "'server s' : 'shard' expects an integer between 0 and 2147483647, not 'x'"},
	{"", "peers p\n peer a/b 1.1.1.1:1", 7, "character '/' is not permitted in peer name 'a/b'"},
	{"backend", "http-request set-timeout server \"\"", 34, "'http-request set-timeout' : missing fetch method"},

	// Global.
	{"global", "setenv A", 2, "'setenv' expects a name and a value"},
	{"global", "stats socket", 2, "'stats socket' expects a path or an address with a port"},
	{"global", "stats socket /s level root", 18, "'level' of 'stats socket' expects 'user', 'operator' or 'admin', not 'root'"},
	{"global", "stats socket /s mode 9", 23, "'mode' of 'stats socket' expects octal permission bits such as 660, not '9'"},
	{"global", "stats socket /s levl admin", 18, "'stats socket' : unknown keyword 'levl'; did you mean 'level' maybe ?"},
	{"global", "stats socket /" + strings.Repeat("s", 97), 15, "'stats socket' : socket path '/" + strings.Repeat("s", 97) + "' too long (max 97)"},
	{"global", "stats socket fd@one", 15, "'stats socket' : 'fd@' expects the number of a descriptor that the process is started with, from 3 on, not 'one'"},
	{"global", "stats socket fd@2", 15, "'stats socket' : 'fd@' expects the number of a descriptor that the process is started with, from 3 on, not '2'"},
	{"global", "stats socket 127.0.0.1", 15, "'stats socket' : missing port specification in '127.0.0.1'"},
	{"global", "stats socket 127.0.0.1:1-2", 15, "'stats socket' takes one address"},
	{"global", "log stdout", 2, "'log' expects <address> and <facility> as arguments"},
	{"global", "log stdout len 5 local0", 13, "'len' of 'log' expects a length between 80 and 65535, not '5'"},
	{"global", "log stdout format rwa local0", 13, "unknown log format 'rwa'; did you mean 'raw' maybe ?"},
	{"global", "log stdout format raw", 2, "'log' expects a facility behind its target"},
	{"global", "log ${UNSET} local0", 6, "'log' : '${UNSET}' resolves to an empty address (environment variable missing?)"},
	{"frontend", "bind ${UNSET-127.0.0.1}:80", 7, "'bind' : unmatched brace of an environment variable in '${UNSET-127.0.0.1}:80'; one with a default needs double quotes around it"},
	{"backend", "server s $UNSET", 11, "'server' : '$UNSET' resolves to an empty address (environment variable missing?)"},
	{"backend", "server s 10.0.0.1:80 source ${UNSET}", 30, "'server' : '${UNSET}' resolves to an empty address (environment variable missing?)"},
	{"global", "log udp@a!:514 local0", 6, "'log' : character '!' is not permitted in host name 'a!'"},
	{"global", "log stdout local9", 13, "unknown log facility 'local9'; did you mean 'local0' maybe ?"},
	{"global", "log stdout local0 noise", 20, "unknown log level 'noise'"},
	{"global", "log stdout local0 info err x", 29, "'log' cannot handle unexpected argument 'x'"},
	{"global", "log tcp@127.0.0.1:514 local0", 6, "log target 'tcp@' is valid HAProxy but not supported by waggle yet"},
	{"global", "log ring@r local0", 6, "unable to find ring 'r' that is named here"},

	// Rings.
	{"", "ring", 1, "'ring' expects a name"},
	{"", "ring a/b", 6, "character '/' is not permitted in 'ring' name 'a/b'"},
	{"", "ring a\nring a", 6, "ring 'a' has the same name as the one declared at t.cfg:1"},
	{"", "ring buf0", 6, "ring 'buf0' is always there and cannot be declared"},
	{"ring", "description", 2, "'description' expects a text"},
	{"ring", "format yaml", 9, "unknown format 'yaml' in 'format', expected one of 'local', 'rfc3164', 'rfc5424', 'priority', 'short', 'timed', 'iso', 'raw'"},
	{"ring", "size 16000", 7, "'size' expects at least 16384, not '16000'"},
	{"ring", "maxlen 0", 9, "'maxlen' expects at least 1, not '0'"},
	{"ring", "timeout queue 1s", 2, "unknown keyword 'timeout queue' in 'ring' section; it belongs to: defaults, listen, backend"},
	{"ring", "backing-file /x", 2, "'backing-file' is valid HAProxy but not supported by waggle yet"},
	{"ring", "server s", 2, "'server' expects <name> and <addr>:<port> as arguments"},
	{"ring", "server s 127.0.0.1:514\n server s 127.0.0.1:515", 9, "server 's' of ring 'r' has the same name as the one declared at t.cfg:2"},
	{"ring", "server s 127.0.0.1", 11, "'server s' : '127.0.0.1' is not an address with a port"},
	{"ring", "server s 127.0.0.1:x", 11, "'server s' : invalid port 'x'"},
	{"ring", "server s 127.0.0:514", 11, "'server s' : invalid address '127.0.0' in '127.0.0:514'"},
	{"ring", "server s /run/log:514", 11, "'server s' : unix socket '/run/log:514' is valid HAProxy but not supported by waggle here yet"},
	{"ring", "server s 127.0.0.1:514 ssl", 25, "'ssl' on a 'server' line of a ring is valid HAProxy but not supported by waggle yet"},
	{"ring", "server s 127.0.0.1:514 log-proto json", 35, "'server s' : 'log-proto' expects one of 'legacy', 'octet-count', not 'json'"},
	{"global", "log stdout profile x local0", 13, "'profile' of 'log' is valid HAProxy but not supported by waggle yet"},
	{"frontend", "log here", 2, "'log' expects <address> and <facility> or 'global' as arguments"},

	// Resolvers.
	{"resolvers", "nameserver a", 2, "'nameserver' expects <name> <address>[:<port>] as arguments"},
	{"resolvers", "nameserver n 127.0.0.1", 13, "name server 'n' is already declared at t.cfg:2"},
	{"resolvers", "nameserver a dns.example", 15, "'nameserver' : 'dns.example' is not an IP address"},
	{"resolvers", "nameserver a 127.0.0.1:x", 15, "'nameserver' : invalid port 'x'"},
	{"resolvers", "nameserver a 127.0.0.1 source x", 25, "a parameter behind the address of 'nameserver' is valid HAProxy but not supported by waggle yet"},
	{"resolvers", "accepted_payload_size 100", 24, "'accepted_payload_size' expects an integer between 512 and 65535, not '100'"},

	// Proxies.
	{"defaults", "mode htp", 7, "unknown mode 'htp' in 'mode', expected one of 'tcp', 'http'; did you mean 'http' maybe ?"},
	{"defaults", "mode", 2, "'mode' expects one of 'tcp', 'http'"},
	{"defaults", "mode health", 7, "'mode health' is gone from HAProxy; use 'monitor-uri' or 'http-request return'"},
	{"defaults", "mode spop", 7, "mode 'spop' is valid HAProxy but not supported by waggle yet"},
	{"backend", "source", 2, "'source' expects <address>[:<port>] [interface <name>]"},
	{"backend", "source 10.0.0.1:70000", 9, "'source' : invalid port '70000'"},
	{"backend", "source 10.0.0.1:1000-2000", 9, "'source' : a range of ports is for 'server' lines only, not '10.0.0.1:1000-2000'"},
	{"backend", "source lb.example", 9, "'source' : expects an IP address, not 'lb.example'"},
	{"backend", "source 10.0.0.1 usesrc client", 18, "'usesrc', which needs a transparent proxy, is valid HAProxy but not supported by waggle yet"},
	{"backend", "source 10.0.0.1 interfac lo", 18, "'source' knows 'interface' behind the address, not 'interfac'; did you mean 'interface' maybe ?"},
	{"backend", "source 10.0.0.1 interface", 18, "'interface' expects the name of an interface"},
	{"backend", "source 10.0.0.1 interface a-name-of-17-byte", 28, "'interface' expects a name of at most 15 characters, not 'a-name-of-17-byte'"},
	{"backend", "server a 1.1.1.1:1 source 10.0.0.1:9-8", 28, "'server a' : 'source' invalid port range '9-8'"},
	{"backend", "server a 1.1.1.1:1 source 10.0.0.1:+5", 28, "'server a' : 'source' expects a port, not the offset '+5'"},
	{"backend", "server a 1.1.1.1:1 source ::1:x", 28, "'server a' : 'source' invalid port 'x'"},
	{"backend", "server a 1.1.1.1:1 source", 21, "'server a' : 'source' expects <address>[:<port>[-<port>]]"},
	{"backend", "server a 1.1.1.1:1 interface lo", 21, "'server a' : 'interface' stands behind 'source <address>'"},
	{"backend", "server a 1.1.1.1:1 source 10.0.0.1 usesrc client", 37, "'usesrc' on a 'server' line is valid HAProxy but not supported by waggle yet"},
	{"backend", "balance rr", 10, "unknown algorithm 'rr' in 'balance', expected one of 'roundrobin', 'static-rr', 'leastconn', 'first', 'source', 'random', 'uri', 'url_param', 'hdr', 'hash'"},
	{"backend", "balance rdp-cookie(mstshash)", 10, "balance algorithm 'rdp-cookie' is valid HAProxy but not supported by waggle yet"},
	{"backend", "balance rdp-cookie", 10, "balance algorithm 'rdp-cookie' is valid HAProxy but not supported by waggle yet"},
	{"backend", "balance uri(x)", 10, "unknown algorithm 'uri(x)' in 'balance', expected one of 'roundrobin', 'static-rr', 'leastconn', 'first', 'source', 'random', 'uri', 'url_param', 'hdr', 'hash'"},
	{"backend", "balance uri len x", 18, "'len' of 'balance uri' expects a positive integer"},
	{"backend", "balance uri deep", 14, "'balance uri' only accepts parameters 'len', 'depth', 'whole' and 'path-only', not 'deep'"},
	{"backend", "balance url_param", 2, "'balance url_param' requires an URL parameter name"},
	{"backend", "balance url_param id check_post", 23, "'check_post' of 'balance url_param' is valid HAProxy but not supported by waggle yet"},
	{"backend", "balance hdr", 10, "'balance hdr' requires the name of a header in parentheses"},
	{"backend", "balance hdr(host) x", 20, "'balance hdr(host)' only accepts 'use_domain_only' modifier, not 'x'"},
	{"backend", "balance hash", 2, "'balance hash' requires an expression"},
	{"backend", "balance hash pathh", 15, "'balance hash' : unknown fetch method 'pathh'; did you mean 'path' maybe ?"},
	{"backend", "hash-type map", 12, "unknown method 'map' in 'hash-type', expected one of 'map-based', 'consistent'"},
	{"backend", "hash-type consistent md5", 23, "unknown hash function 'md5' in 'hash-type', expected one of 'sdbm', 'djb2', 'wt6', 'crc32', 'none'"},
	{"backend", "hash-type map-based sdbm x", 27, "unknown modifier 'x' in 'hash-type', expected one of 'avalanche'"},
	{"backend", "hash-balance-factor 50", 22, "'hash-balance-factor' must be 0 or greater than 100, not '50'"},
	{"backend", "cookie", 2, "'cookie' expects <cookie_name> as argument"},
	{"backend", "cookie S insert prefix", 2, "'cookie' modes 'rewrite', 'insert' and 'prefix' are incompatible"},
	{"backend", "cookie S prefix preserve", 2, "'cookie' takes 'preserve' with 'insert' or 'indirect' only"},
	{"backend", "cookie S insert x", 18, "'cookie' supports 'rewrite', 'insert', 'prefix', 'indirect', 'nocache', 'postonly', 'domain', 'maxidle', 'maxlife', 'attr', 'dynamic', 'preserve', 'httponly' and 'secure' options, not 'x'"},
	{"backend", "cookie S insert maxidle", 18, "'maxidle' of 'cookie' expects a value"},
	{"backend", "cookie S insert attr a;b", 23, "character ';' and control characters are not permitted in 'attr' of 'cookie'"},
	{"backend", "force-persist", 2, "'force-persist' expects 'if' or 'unless' followed by a condition"},
	{"backend", "use-server s9 if TRUE", 13, "backend 'b' : unable to find server 's9' referenced in a 'use-server' rule"},
	{"backend", "hash-preserve-affinity maxconn", 25, "'maxconn' of 'hash-preserve-affinity' is valid HAProxy but not supported by waggle yet"},
	{"backend", "balance random(0)", 10, "'random' of 'balance' expects a number of draws from 1 on in parentheses, not 'random(0)'"},
	{"backend", "balance source 1", 17, "'balance' cannot handle unexpected argument '1'"},
	{"backend", "id 0", 5, "'id' expects an integer between 1 and 2147483647, not '0'"},
	{"", "backend a\n id 3\nbackend b\n id 3", 5, "id 3 is already that of backend 'a' declared at t.cfg:1"},
	{"backend", "http-reuse sometimes", 13, "unknown policy 'sometimes' in 'http-reuse', expected one of 'never', 'safe', 'aggressive', 'always'"},
	{"backend", "load-server-state-from-file maybe", 30, "unknown source 'maybe' in 'load-server-state-from-file', expected one of 'global', 'local', 'none'"},
	{"backend", "load-server-state-from-file", 2, "'load-server-state-from-file' expects 'global', 'local' or 'none'"},
	{"backend", "server-state-file-name a b", 27, "'server-state-file-name' cannot handle unexpected argument 'b'"},
	{"global", "server-state-base", 2, "'server-state-base' expects one argument: a directory path"},
	{"global", "server-state-file a\n server-state-file b", 2, "'server-state-file' already specified"},
	{"backend", "errorfile 503", 2, "'errorfile' expects <status_code> and <file> as arguments"},
	{"backend", "errorfile 599 /x", 12, "unknown status code '599' in 'errorfile', expected one of '200', '400', '401', '403', '404', '405', '407', '408', '410', '413', '425', '429', '500', '501', '502', '503', '504'"},
	{"backend", "errorfile 503 /x", 16, "'errorfile' : cannot read '/x': no such file"},
	{"backend", "description", 2, "'description' expects a text"},
	{"frontend", "option httplog clf x", 21, "'option httplog' cannot handle unexpected argument 'x'"},
	{"frontend", "option http-ignore-probes", 2, "'option http-ignore-probes' is valid HAProxy but not supported by waggle yet"},
	{"frontend", "option dontlognull x", 21, "'option dontlognull' cannot handle unexpected argument 'x'"},
	{"backend", "option redispatch x", 20, "'option redispatch' expects an integer interval, not 'x'"},
	{"backend", "option forwardfor excpt x", 20, "'option forwardfor' only supports 'except', 'header' and 'if-none', not 'excpt'"},
	{"backend", "option forwardfor except x", 20, "'except' of 'option forwardfor' expects a network such as 10.0.0.0/8, not 'x'"},
	{"backend", "option forwardfor header", 20, "'header' of 'option forwardfor' expects a name"},

	// Bind.
	{"frontend", "bind", 2, "'bind' expects [addr1]:port1[-end1]{,[addr]:port[-end]}... as arguments"},
	{"frontend", "bind x", 7, "'bind' : missing port specification in 'x'"},
	{"frontend", "bind *:", 7, "'bind' : missing port specification in '*:'"},
	{"frontend", "bind *:99999", 7, "'bind' : invalid port '99999'"},
	{"frontend", "bind *:20-10", 7, "'bind' : invalid port range '20-10'"},
	{"frontend", "bind *:1-65535,*:1", 7, "'bind' : more than 65535 ports on one line"},
	{"frontend", "bind 1.2.3:80", 7, "'bind' : invalid address '1.2.3' in '1.2.3:80'"},
	{"frontend", "bind [::1:80", 7, "'bind' : missing closing ']' in address '[::1:80'"},
	{"frontend", "bind [::1]x:80", 7, "'bind' : unexpected 'x:80' behind ']' in address '[::1]x:80'"},
	{"frontend", "bind ipv4@[::1]:80", 7, "'bind' : address '::1' is not of the family 'ipv4@'"},
	{"frontend", "bind foo@x:80", 7, "'bind' : unknown address family 'foo@' in 'foo@x:80'"},
	{"frontend", "bind fd@3", 7, "'bind' : address family 'fd@' is valid HAProxy but not supported by waggle here yet"},
	{"backend", "source /run/x", 9, "'source' : unix socket '/run/x' is valid HAProxy but not supported by waggle here yet"},
	{"frontend", "bind web.test:80", 7, "'bind' : host name 'web.test' is valid HAProxy but not supported by waggle here: use an IP address or '*'"},
	{"frontend", "bind :80 nme x", 11, "'bind :80' in section 'frontend': unknown keyword 'nme'; did you mean 'name' maybe ?"},
	{"frontend", "bind :80 name", 11, "'bind' : 'name' expects <name>"},
	{"frontend", "bind :80 maxconn x", 19, "'bind' : 'x' is not a number of connections"},
	{"frontend", "bind :443 ssl", 2, "frontend 'f' : no SSL certificate specified for bind '0.0.0.0:443' (use 'crt')"},
	{"frontend", "bind :443 ssl crt /x ssl-min-ver TLSv1.9", 35, "'bind' : 'ssl-min-ver' knows 'SSLv3', 'TLSv1.0', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3', not 'TLSv1.9'; did you mean 'TLSv1.0' maybe ?"},
	{"frontend", "bind :443 ssl crt /x force-tlsv12 no-tlsv12", 2, "frontend 'f' : bind '0.0.0.0:443' : no version of TLS is left: at least TLSv1.3 is asked for, and at most TLSv1.2"},
	{"frontend", "bind :443 ssl crt /x verify required", 2, "frontend 'f' : bind '0.0.0.0:443' : 'verify required' needs 'ca-file'"},
	{"frontend", "bind :443 ssl crt /x verify maybe", 30, "'bind' : 'verify' knows 'none', 'optional', 'required', not 'maybe'"},
	{"frontend", "bind :443 ssl crt /x ciphers DHE-RSA-AES128-SHA", 31, "'ciphers' names no cipher suite that crypto/tls has"},
	{"frontend", "bind :443 ssl crt /x ciphersuites TLS_AES_128_CCM_SHA256", 36, "'ciphersuites' names no cipher suite of TLS 1.3 that crypto/tls has: 'TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'"},
	{"frontend", "bind :443 ssl crt /x alpn h3", 2, "frontend 'f' : bind '0.0.0.0:443' : 'alpn' offers 'h3', which is not spoken here: 'h2', 'http/1.1' and 'http/1.0' are"},
	{"frontend", "bind :443 ssl crt /x crl-file /y", 23, "'crl-file' on a 'bind' line is valid HAProxy but not supported by waggle yet"},
	{"frontend", "bind :443 proto h3", 18, "'bind' : 'proto' knows 'h1' and 'h2', not 'h3'"},
	{"global", "ssl-default-bind-options no-tlsv14", 27, "unknown option 'no-tlsv14' in 'ssl-default-bind-options'; did you mean 'no-tlsv10' maybe ?"},
	{"frontend", "bind :80 interface abcdefghijklmnop", 21, "'bind' : interface name 'abcdefghijklmnop' is longer than 15 characters"},

	// Servers.
	{"backend", "server s", 2, "'server' expects <name> and <addr>[:<port>] as arguments"},
	{"backend", "server s/1 a:80", 9, "character '/' is not permitted in server name 's/1'"},
	{"backend", "server s a_b!:80", 11, "'server s' : character '!' is not permitted in host name 'a_b!'"},
	{"backend", "server s a..b:80", 11, "'server s' : invalid host name 'a..b'"},
	{"backend", "server s :80", 11, "'server s' : address ':80', which means the address that the client connected to, is valid HAProxy but not supported by waggle yet"},
	{"backend", "server s 2001:db8::1", 11, "'server s' : invalid address '2001:db8:' in '2001:db8::1'"},
	{"backend", "server s 1.2.3.4:x", 11, "'server s' : invalid port 'x'"},
	{"backend", "server s 1.2.3.4:+x", 11, "'server s' : invalid port offset '+x'"},
	{"backend", "server s _http._tcp.x", 11, "server 's' : service records ('_http._tcp.x') need 'resolvers'"},
	{"backend", "server s a:80 chek", 16, "'server s' : unknown keyword 'chek'; did you mean 'check' maybe ?"},
	{"backend", "server s a:80 weight 257", 23, "'server s' : 'weight' expects an integer between 0 and 256, not '257'"},
	{"backend", "server s a:80 weight", 16, "'server s' : 'weight' expects <0..256>"},
	{"backend", "server s a:80 inter 0", 22, "'server s' : 'inter' cannot be '0': minimum value is 1 ms"},
	{"backend", "server s a:80 inter 3x", 22, "'server s' : 'inter' cannot be '3x': unexpected character 'x' in 'time': a time ends in us, ms, s, m, h or d"},
	{"backend", "server s a:80 addr x", 21, "'server s' : 'addr' expects an IP address, not 'x'"},
	{"backend", "server s 192.0.2.1:80 ssl", 2, "backend 'b', server 's' : its certificate is to be verified, which is the default, and no 'ca-file' says by what: name one ('ca-file @system-ca' is the system's), or write 'verify none' if the network can be trusted"},
	{"backend", "server s 192.0.2.1:80 ssl verify required", 2, "backend 'b', server 's' : 'verify required' needs 'ca-file'"},
	{"backend", "server s 192.0.2.1:80 ssl verify none alpn h2", 45, "'server s' : 'alpn' with 'h2' is valid HAProxy but not supported by waggle yet: servers are spoken to in HTTP/1.1"},
	{"backend", "server s 192.0.2.1:80 ssl verify none sni req.hdr(", 44, "'server s' : 'sni' : missing closing ')' in the arguments of fetch method 'req.hdr'"},
	{"backend", "server s a:80 init-addr libc,nne", 26, "'server s' : 'init-addr' knows 'last', 'libc', 'none' and addresses, not 'nne'; did you mean 'none' maybe ?"},
	{"backend", "server s a:80 resolve-prefer ipv5", 31, "'server s' : 'resolve-prefer' expects 'ipv4' or 'ipv6', not 'ipv5'"},
	{"backend", "server s a:80 resolve-net x", 28, "'server s' : 'resolve-net' expects networks such as 10.0.0.0/8, not 'x'"},
	{"backend", "server s a:80 resolve-opts x", 29, "'server s' : 'resolve-opts' knows 'allow-dup-ip', 'prevent-dup-ip', 'ignore-weight', not 'x'"},
	{"backend", "server s a:80 on-marked-down x", 31, "'server s' : 'on-marked-down' expects 'shutdown-sessions', not 'x'"},
	{"backend", "server s a check", 11, "server 's' has neither a service port nor a check port to check"},
	{"backend", "server s a:80 resolvers nope", 26, "backend 'b', server 's' : unable to find required resolvers 'nope'"},
	{"backend", "server s 1.1.1.1:1\n server s 1.1.1.1:2", 9, "server 's' of backend 'b' has the same name as the one declared at t.cfg:7"},
	{"backend", "server s2 1.1.1.1:1\n server-template s 3 a:2 resolvers r", 18, "server 's2' of backend 'b' has the same name as the one declared at t.cfg:7"},
	{"backend", "server a 1.1.1.1:1 id 3\n server b 1.1.1.1:2 id 3", 2, "server id 3 is already taken at t.cfg:7"},
	{"backend", "server-template w 3", 2, "'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments"},
	{"backend", "server-template w 3-1 a:80", 20, "wrong number or range of slots '3-1': from 1 to 65535, as 6 or 1-6"},
	{"backend", "server-template w 0 a:80", 20, "wrong number or range of slots '0': from 1 to 65535, as 6 or 1-6"},
	{"backend", "default-server id 3", 17, "'id' is not allowed in a 'default-server' line"},
	{"backend", "default-server wieght 3", 17, "'default-server' : unknown keyword 'wieght'; did you mean 'weight' maybe ?"},

	// Health checks.
	{"backend", "option httpchk GET / HTTP/2.0", 23, "version 'HTTP/2.0' of a health check is valid HAProxy but not supported by waggle yet"},
	{"backend", "option httpchk GET / x", 23, "'option httpchk' expects HTTP/1.0 or HTTP/1.1 as version, not 'x'"},
	{"backend", `option httpchk GET / HTTP/1.1\r\nHost`, 23, "'option httpchk' : 'Host' behind the version is not a header"},
	{"backend", "http-check send uir /x", 18, "'http-check send' : unknown keyword 'uir'; did you mean 'uri' maybe ?"},
	{"backend", "http-check send uri", 18, "'http-check send' : 'uri' expects a value"},
	{"backend", "http-check send hdr Host", 18, "'http-check send' : 'hdr' expects a name and a value"},
	{"backend", "http-check expect status 99", 27, "'http-check expect status' : '99' is not a status code or a range of them"},
	{"backend", "http-check expect status", 20, "'http-check expect' : 'status' expects a <pattern> as argument"},
	{"backend", "http-check expect statsu 200", 20, "unknown kind 'statsu' in 'http-check expect', expected one of 'rstatus', 'rstring', 'status', 'string'; did you mean 'status' maybe ?"},
	{"backend", "http-check expect hdr name x", 20, "'hdr' of 'http-check expect' is valid HAProxy but not supported by waggle yet"},
	{"backend", "http-check expect rstatus (", 28, "'http-check expect' : regex '(' is invalid: missing closing ): `(`"},
	{"backend", "http-check send meth GET\n http-check connect", 2, "'http-check connect' : the first step must be a 'connect' too when there is one behind other steps"},
	{"backend", "option httpchk\n http-check connect\n http-check expect status 200", 2, "'http-check expect' : unable to add an expectation: a 'send' is missing before it"},
	{"backend", "option httpchk\n http-check expect status 200\n http-check send uri /x", 2, "'http-check send' : unable to add a request behind another one: a 'connect' is missing between them"},
	{"backend", "http-check disable-on-404 x", 28, "'http-check disable-on-404' cannot handle unexpected argument 'x'"},
	{"backend", "http-check comment", 2, "'http-check comment' : expects a string as argument"},
	{"backend", "http-check set-var(check.a) int(1)", 2, "'http-check set-var(check.a)' is valid HAProxy but not supported by waggle yet"},
	{"backend", "tcp-check expect", 2, "'tcp-check expect' : expects at least a matching pattern as arguments"},
	{"backend", "tcp-check foo", 12, "unknown keyword 'tcp-check foo' in 'backend' section; did you mean 'tcp-check send' maybe ?"},
	{"backend", "tcp-check send", 2, "'tcp-check send' expects what to send as argument"},
	{"backend", "tcp-check send a b", 19, "'tcp-check send' : expects 'comment' and a text, but got 'b' as argument"},
	{"backend", "tcp-check send-binary 5", 24, "'tcp-check send-binary' : '5' is not an even number of hexadecimal digits"},
	{"backend", "tcp-check send-lf %[foo]", 20, "'tcp-check send-lf' : failed to parse sample expression 'foo': unknown fetch method 'foo'"},
	{"backend", "tcp-check send-lf %ci", 20, "a variable of log lines in 'tcp-check send-lf' is valid HAProxy but not supported by waggle yet"},
	{"backend", "tcp-check expect binary zz", 26, "'tcp-check expect' : 'zz' is not an even number of hexadecimal digits"},
	{"backend", "tcp-check expect string a b", 28, "'tcp-check expect' cannot handle unexpected argument 'b'"},
	{"backend", "tcp-check expect string", 19, "'tcp-check expect' : 'string' expects a <pattern> as argument"},
	{"backend", "tcp-check expect tout-status L7XX string a", 31, "'tcp-check expect' : 'tout-status' only supports 'L4TOUT', 'L6TOUT', 'L7TOUT' status, not 'L7XX'"},
	{"backend", "tcp-check expect min-recv x string a", 28, "'tcp-check expect' : 'min-recv' expects -1 or a number of bytes, not 'x'"},
	{"backend", "tcp-check expect on-error %[src] string a", 28, "an expression behind 'on-error' of 'tcp-check expect' is valid HAProxy but not supported by waggle yet"},
	{"backend", "tcp-check expect status-code 3 string a", 19, "'status-code' of 'tcp-check expect' is valid HAProxy but not supported by waggle yet"},
	{"backend", "tcp-check connect port x", 25, "'tcp-check connect' : 'port' expects a number from 1 to 65535, not 'x'"},
	{"backend", "tcp-check connect foo", 20, "'tcp-check connect' : unknown keyword 'foo'"},
	{"backend", "tcp-check connect ssl", 20, "'ssl' of 'tcp-check connect' is valid HAProxy but not supported by waggle yet"},
	{"backend", "option mysql-check user", 2, "'option mysql-check user' expects <username> as argument"},
	{"backend", "option mysql-check user x pre-14", 28, "'option mysql-check' only supports 'post-41' and 'pre-41' behind the user, not 'pre-14'; did you mean 'pre-41' maybe ?"},
	{"backend", "option pgsql-check", 2, "'option pgsql-check' expects 'user <username>' as argument"},
	{"backend", "option redis-check a", 21, "'option redis-check' cannot handle unexpected argument 'a'"},
	{"backend", "option external-check", 2, "'option external-check' is valid HAProxy but not supported by waggle: it starts no programs, and its image holds none; use tcp-check, http-check or agent-check"},
	{"backend", "server s 1.1.1.1:1 agent-check", 11, "server 's' does not have agent port: 'agent-check' needs 'agent-port'"},
	{"backend", "server s 1.1.1.1:1 agent-check agent-port 0", 44, "'server s' : 'agent-port' expects an integer between 1 and 65535, not '0'"},
	{"backend", "server s 1.1.1.1:1 agent-addr x", 32, "'server s' : 'agent-addr' expects an IP address, not 'x'"},
	{"backend", "server s 1.1.1.1:1 check track b/s", 11, "server 's' : unable to enable checks and tracking at the same time!"},
	{"backend", "server s 1.1.1.1:1 track x", 2, "server 'b/s' : unable to find required server 'b/x' for tracking"},
	{"backend", "server s 1.1.1.1:1 track s", 2, "server 'b/s' : unable to track b/s as it belongs to a tracking chain looping back to b/s"},
	{"backend", "server r 1.1.1.1:1\n server s 1.1.1.1:1 track b/r", 2, "server 'b/s' : unable to use b/r for tracking as it does not have any check nor agent enabled"},
	{"backend", "server s 1.1.1.1:1 check observe layer8", 35, "'server s' : 'observe' expects one of 'none', 'layer4', 'layer7', not 'layer8'; did you mean 'layer4' maybe ?"},
	{"backend", "mode tcp\n server s 1.1.1.1:1 check observe layer7", 2, "server 'b/s' : 'layer7' can only be used in http proxies"},
	{"backend", "server s 1.1.1.1:1 on-error foo", 30, "'server s' : 'on-error' expects one of 'fastinter', 'fail-check', 'sudden-death', 'mark-down', not 'foo'"},
	{"backend", "server s 1.1.1.1:1 error-limit 0", 33, "'server s' : 'error-limit' expects an integer between 1 and 2147483647, not '0'"},
	{"backend", "server s 1.1.1.1:1 init-state none", 32, "'server s' : 'init-state' expects one of 'fully-up', 'up', 'down', 'fully-down', not 'none'"},
	{"backend", "server s 1.1.1.1:1 on-marked-up x", 34, "'server s' : 'on-marked-up' expects 'shutdown-backup-sessions', not 'x'"},

	// Rules.
	{"frontend", "acl a", 2, "'acl' expects a name and an expression"},
	{"frontend", "acl a/b path /", 6, "character '/' is not permitted in acl name 'a/b'"},
	{"frontend", "acl or path /", 6, "'or' joins conditions and cannot be the name of an ACL"},
	{"frontend", "acl a src 1.2.3.400", 12, "error detected while parsing ACL 'a' : '1.2.3.400' is not a valid IPv4 or IPv6 address or network"},
	{"frontend", "acl a src -f nope.lst", 15, "error detected while parsing ACL 'a' : failed to open pattern file 'nope.lst': no such file"},
	{"frontend", "use_backend", 2, "'use_backend' expects a backend name"},
	{"frontend", "use_backend b when x", 16, "'use_backend' : expects 'if' or 'unless' followed by a condition, not 'when'"},
	{"frontend", "use_backend b if nosuch", 19, "error detected while parsing a condition of 'use_backend' : no such ACL : 'nosuch'"},
	{"frontend", "use_backend b if { path_beg,lowr /x }", 21, "error detected while parsing a condition of 'use_backend' : unknown converter 'lowr'; did you mean 'lower' maybe ?"},
	{"frontend", "use_backend %[path", 14, "'use_backend' : missing ']' after '[path'"},
	{"frontend", "use_backend %[srv_name]", 14, "'use_backend' : sample fetch 'srv_name' may not be reliably used here because it needs 'server' which is not available here"},
	{"frontend", "use_backend bb", 14, "frontend 'f' : unable to find required use_backend 'bb'; did you mean 'b' maybe ?"},
	{"frontend", "default_backend nope", 18, "frontend 'f' : unable to find required default_backend 'nope'"},
	{"listen", "default_backend l", 18, "listen 'l' : loop detected for default_backend 'l'"},
	{"", "backend b\n mode tcp\nfrontend f\n mode http\n bind :1\n default_backend b", 18, "http frontend 'f' tries to use incompatible tcp backend 'b' (t.cfg:1) in a 'default_backend' rule (see 'mode')"},
	{"", "backend b\n mode http\nfrontend f\n bind :1\n default_backend b", 18, "tcp frontend 'f' with http backend 'b' (t.cfg:1) in a 'default_backend' rule is valid HAProxy but not supported by waggle yet: give both the same 'mode'"},
	{"frontend", "http-request", 2, "'http-request' expects one of 'allow', 'deny', 'auth', 'tarpit', 'reject', 'silent-drop', 'set-timeout', 'set-src', 'use-service', 'redirect', 'return', 'set-header', 'add-header', 'del-header', 'replace-header', 'replace-value', 'set-method', 'set-uri', 'set-path', 'set-pathq', 'set-query', 'replace-uri', 'replace-path', 'replace-pathq', 'set-var', 'set-var-fmt', 'unset-var', 'add-acl', 'del-acl', 'set-map', 'del-map', 'track-sc0', 'track-sc1', 'track-sc2', 'sc-inc-gpc0', 'sc-inc-gpc1', 'sc-set-gpt0', 'capture', 'set-log-level', 'set-priority-class', 'set-priority-offset', 'disable-l7-retry', 'wait-for-body'"},
	{"frontend", "http-request add-acl(/x", 15, "'http-request add-acl' expects the name of a file in parentheses behind its name"},
	{"frontend", "http-request del-acl(/x)", 15, "'http-request del-acl' expects a format for the key"},
	{"frontend", "http-request set-map(/x) a", 27, "'http-request set-map' expects a format for the value behind the key"},
	{"frontend", "http-request dny", 15, "unknown action 'dny' in 'http-request', expected one of 'allow', 'deny', 'auth', 'tarpit', 'reject', 'silent-drop', 'set-timeout', 'set-src', 'use-service', 'redirect', 'return', 'set-header', 'add-header', 'del-header', 'replace-header', 'replace-value', 'set-method', 'set-uri', 'set-path', 'set-pathq', 'set-query', 'replace-uri', 'replace-path', 'replace-pathq', 'set-var', 'set-var-fmt', 'unset-var', 'add-acl', 'del-acl', 'set-map', 'del-map', 'track-sc0', 'track-sc1', 'track-sc2', 'sc-inc-gpc0', 'sc-inc-gpc1', 'sc-set-gpt0', 'capture', 'set-log-level', 'set-priority-class', 'set-priority-offset', 'disable-l7-retry', 'wait-for-body'; did you mean 'deny' maybe ?"},
	{"frontend", "http-request set-var path", 15, "'http-request set-var' expects a variable in parentheses behind its name, and nothing else has one"},
	{"frontend", "http-request deny(txn.x)", 15, "'http-request deny' expects a variable in parentheses behind its name, and nothing else has one"},
	{"frontend", "http-request set-var(txn.x", 15, "'http-request set-var' : missing closing ')'"},
	{"frontend", "http-request set-var(x) path", 15, "'http-request set-var' : invalid variable name 'x': it begins with its scope, 'sess.', 'txn.', 'req.' or 'res.'"},
	{"frontend", "http-request set-var(txn.x,ifempty) path", 15, "condition 'ifempty' of 'http-request set-var' is valid HAProxy but not supported by waggle yet"},
	{"frontend", "http-request set-var(txn.x)", 15, "'http-request set-var' expects an expression"},
	{"frontend", "http-request set-var(txn.x) pth", 30, "'http-request set-var' : unknown fetch method 'pth'; did you mean 'path' maybe ?"},
	{"frontend", "http-request set-var(txn.x) status", 30, "'http-request set-var' : sample fetch 'status' may not be reliably used here because it needs 'HTTP response headers' which is not available here"},
	{"frontend", "http-request pause 5s", 15, "'http-request pause' is valid HAProxy but not supported by waggle yet"},
	{"frontend", "http-request set-src", 15, "'http-request set-src' expects an expression"},
	{"frontend", "tcp-request content track-sc0 src", 32, "frontend 'f' : unable to find table 'f' that is named here"},
	{"frontend", "http-request track-sc0 src table b", 25, "frontend 'f' : unable to find table 'b' that is named here"},
	{"frontend", "http-request track-sc0 src table", 29, "'http-request track-sc0' : the name of a table is missing"},
	{"backend", "tcp-request content track-sc0 src\n stick-table type ipp size 1k", 19, "unknown type 'ipp' in 'stick-table', expected one of 'ip', 'ipv6', 'integer', 'string', 'binary'; did you mean 'ip' maybe ?"},
	{"backend", "stick on src", 11, "backend 'b' : unable to find table 'b' that is named here"},
	{"backend", "stick on src table x", 11, "backend 'b' : unable to find table 'x' that is named here"},
	{"backend", "stick store-request srcs", 22, "'stick store-request' : unknown fetch method 'srcs'; did you mean 'src' maybe ?"},
	{"backend", "stick store-response src", 23, "backend 'b' : unable to find table 'b' that is named here"},
	{"backend", "stick-table size 1k", 2, "'stick-table' : missing 'type'"},
	{"backend", "stick-table type ip", 2, "'stick-table' : 'size' has to be from 1 to 10485760"},
	{"backend", "stick-table type ip size 1k store http_req_rate", 36, "'stick-table' : 'http_req_rate' in 'store': a rate has a period in parentheses, and nothing else has one"},
	{"backend", "http-request sc-inc-gpc1(3)", 15, "'http-request sc-inc-gpc1' expects the number of a counter in parentheses, 0, 1 or 2"},
	{"backend", "http-response sc-set-gpt0(0", 16, "'http-response sc-set-gpt0' expects the number of a counter in parentheses, 0, 1 or 2"},
	{"backend", "tcp-request content sc-set-gpt0(0)", 22, "'tcp-request content sc-set-gpt0' expects a number or an expression"},
	{"backend", "http-request deny if { src,table_gpc0 gt 1 }", 25, "error detected while parsing a condition of 'http-request deny' : converter 'table_gpc0' expects at least 1 arguments in parentheses"},
	{"backend", "stick-table type ip size 1k store gpc", 36, "'store gpc' on a 'stick-table' line is valid HAProxy but not supported by waggle yet"},
	{"backend", "stick-table typ ip size 1k", 14, "'stick-table' : unknown argument 'typ'; did you mean 'type' maybe ?"},
	{"backend", "stick-table type ip size 1k store con_cnt", 36, "'stick-table' : unknown data type 'con_cnt' in 'store'; did you mean 'conn_cnt' maybe ?"},
	{"backend", "stick-table type ip size 1k store foo", 36, "'stick-table' : unknown data type 'foo' in 'store'"},
	{"backend", "stick-table type ip size 1k srvkey addr", 30, "'srvkey' on a 'stick-table' line is valid HAProxy but not supported by waggle yet"},
	{"backend", "stick-table type ip size 1k peers p", 36, "unable to find peers section 'p' that is named here"},
	{"frontend", "tcp-request session drop", 22, "unknown action 'drop' in 'tcp-request session', expected one of 'accept', 'reject', 'silent-drop', 'track-sc0', 'track-sc1', 'track-sc2', 'sc-inc-gpc0', 'sc-inc-gpc1', 'sc-set-gpt0', 'set-var', 'unset-var'"},
	{"frontend", "tcp-request content set-priority-klass int(1)", 22, "unknown action 'set-priority-klass' in 'tcp-request content', expected one of 'accept', 'reject', 'silent-drop', 'track-sc0', 'track-sc1', 'track-sc2', 'sc-inc-gpc0', 'sc-inc-gpc1', 'sc-set-gpt0', 'set-var', 'unset-var', 'set-priority-class', 'set-priority-offset'; did you mean 'set-priority-class' maybe ?"},
	{"frontend", "tcp-request content set-var int(1)", 22, "'tcp-request content set-var' : missing closing ')'"},
	{"frontend", "option originalto if-none", 20, "'option originalto' only supports 'except' and 'header', not 'if-none'"},
	{"frontend", "errorloc 99 /x", 11, "unknown status code '99' in 'errorloc', expected one of '200', '400', '401', '403', '404', '405', '407', '408', '410', '413', '425', '429', '500', '501', '502', '503', '504'"},
	{"frontend", "errorloc 503", 2, "'errorloc' expects <status_code> and <url> as arguments"},
	{"frontend", "errorfiles none", 13, "frontend 'f' : unknown http-errors section 'none'"},
	{"frontend", "http-request set-status 404", 15, "'http-request set-status' is valid HAProxy but not supported by waggle yet"},
	{"frontend", "http-response cache-store x", 16, "'http-response cache-store' is valid HAProxy but not supported by waggle yet"},
	{"frontend", "http-response set-status 99", 27, "'http-response set-status' expects a status code between 200 and 999, not '99'"},
	{"frontend", "http-response set-status 404 reason", 31, "'http-response set-status' expects a text behind 'reason'"},
	{"frontend", "http-response set-header X %[req.hdr(a)]", 29, "'http-response set-header' : sample fetch 'req.hdr' may not be reliably used here because it needs 'HTTP request headers' which is not available here"},
	{"frontend", "http-request replace-header X", 30, "'http-request replace-header' expects a regular expression"},
	{"frontend", "http-request replace-header X ( a", 32, "'http-request replace-header' : regex '(' is invalid: missing closing ): `(`"},
	{"frontend", "http-request replace-path a", 28, "'http-request replace-path' expects a replacement behind the regular expression"},
	{"frontend", "http-request set-path", 15, "'http-request set-path' expects a format"},
	{"frontend", "http-request set-path a b", 26, "'http-request set-path' : expects 'if' or 'unless' followed by a condition, not 'b'"},
	{"frontend", "http-request del-header X -m foo", 31, "'http-request del-header' : '-m' expects 'str', 'beg', 'end', 'sub' or 'reg', not 'foo'"},
	{"frontend", "http-request set-log-level foo", 29, "unknown level 'foo' in 'http-request', expected one of 'emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug', 'silent'"},
	{"frontend", "http-request capture path", 23, "'http-request capture' expects 'len' and a length from 1 to 65535, or 'id' and the number of a slot"},
	{"frontend", "http-request capture path id 0", 31, "frontend 'f' : unable to find capture id '0' referenced by a capture rule"},
	{"frontend", "capture request header Host", 2, "'capture request header' expects <name> 'len' <length>"},
	{"frontend", "declare capture foo len 3", 18, "'declare capture' expects 'request' or 'response', not 'foo'"},
	{"frontend", "http-request return string abc", 2, "'http-request return' : a content type must be defined when there is a body"},
	{"frontend", "http-request return content-type a file nope", 42, "'http-request return' : cannot read 'nope': no such file"},
	{"frontend", "http-response redirect prefix /x", 25, "'http-response' : a response can only be redirected by 'location'"},
	{"frontend", "http-response redirect location %[path]", 34, "'http-response' : sample fetch 'path' may not be reliably used here because it needs 'HTTP request headers' which is not available here"},
	{"frontend", "http-response return content-type a lf-string %[path]", 48, "'http-response return' : sample fetch 'path' may not be reliably used here because it needs 'HTTP request headers' which is not available here"},
	{"frontend", "http-request wait-for-body", 2, "'http-request wait-for-body' expects 'time' and how long to wait"},
	{"frontend", "http-request wait-for-body at-least 10", 2, "'http-request wait-for-body' expects 'time' and how long to wait"},
	{"frontend", "http-request wait-for-body time if TRUE", 34, "'http-request wait-for-body' expects a value behind 'time'"},
	{"frontend", "http-request wait-for-body time 1x", 34, "'http-request wait-for-body' : unexpected character 'x' in 'time': a time ends in us, ms, s, m, h or d"},
	{"frontend", "http-request wait-for-body time 1s at-least -1", 46, "'http-request wait-for-body' : 'at-least' expects a size below 2g such as 16384 or 16k, not '-1'"},
	{"frontend", "http-request set-var(txn.a) req.body_param(a,x)", 30, "'http-request set-var' : fetch method 'req.body_param' knows the flag 'i', not 'x'"},
	{"frontend", "http-response set-var(txn.a) req.body", 31, "'http-response set-var' : sample fetch 'req.body' may not be reliably used here because it needs 'HTTP request headers' which is not available here"},
	{"frontend", "compression algo", 2, "'compression algo' expects 'identity', 'gzip', 'deflate' or 'raw-deflate'"},
	{"frontend", "compression algo gzip brotli", 24, "unknown algorithm 'brotli' in 'compression algo', expected one of 'identity', 'gzip', 'deflate', 'raw-deflate'"},
	{"frontend", "compression type", 2, "'compression type' expects content types"},
	{"frontend", "compression offload x", 22, "'compression offload' cannot handle unexpected argument 'x'"},
	{"frontend", "compression direction both", 2, "'compression direction' is valid HAProxy but not supported by waggle yet"},
	{"global", "tune.comp.maxlevel 10", 21, "'tune.comp.maxlevel' expects an integer between 1 and 9, not '10'"},
	{"global", "maxcompcpuusage 101", 18, "'maxcompcpuusage' expects an integer between 0 and 100, not '101'"},
	{"global", "maxcomprate x", 14, "'maxcomprate' expects an integer between 0 and 2097151, not 'x'"},
	{"frontend", "http-request silent-drop rst-ttl 0", 35, "'http-request silent-drop' : 'rst-ttl' expects a number from 1 to 255, not '0'"},
	{"frontend", "http-response silent-drop rst-ttl", 28, "'http-response silent-drop' expects a number of hops behind 'rst-ttl'"},
	{"frontend", "http-request silent-drop x", 27, "'http-request silent-drop' : expects 'if' or 'unless' followed by a condition, not 'x'"},
	{"frontend", "tcp-request connection silent-drop rst-ttl 300", 45, "'tcp-request connection silent-drop' : 'rst-ttl' expects a number from 1 to 255, not '300'"},
	{"frontend", "http-request set-timeout server 5s", 15, "'http-request set-timeout' : 'f' has no servers whose timeouts could be set; the rule belongs in a backend"},
	{"backend", "http-request set-timeout client 5s", 27, "unknown timeout 'client' in 'http-request', expected one of 'server', 'tunnel'"},
	{"backend", "http-request set-timeout", 15, "'http-request set-timeout' expects 'server' or 'tunnel'"},
	{"backend", "http-request set-timeout server", 27, "'http-request set-timeout' expects a time or an expression"},
	{"backend", "http-request set-timeout server 0", 34, "'http-request set-timeout' : 0 is no time that can be set"},
	{"backend", "http-request set-timeout server 5x", 34, "'http-request set-timeout' : unexpected character 'x' in 'server': a time ends in us, ms, s, m, h or d"},
	{"backend", "cookie S rewrite indirect", 2, "'cookie' modes 'rewrite' and 'indirect' are incompatible"},
	{"backend", "stick store-response path", 23, "'stick store-response' : sample fetch 'path' may not be reliably used here because it needs 'HTTP request headers' which is not available here"},
	{"frontend", "http-request return status 999", 29, "'http-request return' : 'status' expects a status code between 200 and 599"},
	{"frontend", "http-request return content-type a lf-string %[x", 47, "'http-request return' : missing ']' after '[x'"},
	{"frontend", "http-error status 777 content-type a string b", 20, "'http-error' : 'status' expects one of '200', '400', '401', '403', '404', '405', '407', '408', '410', '413', '425', '429', '500', '501', '502', '503', '504', not '777'"},
	{"frontend", "tcp-request connection drop", 25, "unknown action 'drop' in 'tcp-request connection', expected one of 'accept', 'reject', 'silent-drop', 'track-sc0', 'track-sc1', 'track-sc2', 'sc-inc-gpc0', 'sc-inc-gpc1', 'sc-set-gpt0', 'set-var', 'unset-var', 'expect-proxy'"},
	{"frontend", "tcp-request connection set-mark 3", 25, "'tcp-request connection set-mark' is valid HAProxy but not supported by waggle yet"},
	{"frontend", "log-format %[nbsrv(bb)]", 13, "frontend 'f' : unable to find backend 'bb' that is named here; did you mean 'b' maybe ?"},
	{"frontend", "monitor fail if { nbsrv(bb) lt 1 }", 15, "frontend 'f' : unable to find backend 'bb' that is named here; did you mean 'b' maybe ?"},
	{"frontend", "monitor fail", 2, "'monitor fail' expects 'if' or 'unless' followed by a condition"},
	{"frontend", "unique-id-header", 2, "'unique-id-header' expects the name of a header"},
	{"frontend", "log-format %zz", 13, "'log-format' : no such format variable 'zz': a percent sign is written '%%'"},
	{"frontend", "log-format a b", 15, "'log-format' expects only one argument: blanks in it need quotes or backslashes"},
	{"", "listen l\n bind :1\n timeout client 1s\n log-format %HM", 13, "'log-format' : format variable '%HM' is reserved for HTTP mode"},
	{"frontend", "log-steps all", 2, "'log-steps' is valid HAProxy but not supported by waggle yet"},
	{"frontend", "http-request deny deny_status 99", 32, "'http-request deny' : 'deny_status' expects a status code between 200 and 599"},
	{"frontend", "http-request use-service lua.x", 27, "'http-request use-service' knows the service 'prometheus-exporter', not 'lua.x'"},
	{"frontend", "http-request set-header X", 2, "'http-request set-header' expects a value behind the name"},
	{"frontend", "http-request set-header X: y", 26, "'http-request set-header' expects the name of a header"},
	{"frontend", "http-request set-header X %[srcc]", 28, "'http-request set-header' : failed to parse sample expression 'srcc': unknown fetch method 'srcc'; did you mean 'src' maybe ?"},
	{"frontend", `http-request set-header X a\r\nb`, 28, `'http-request set-header' : a line end in '"a\r\nb"' would split the header`},
	{"frontend", "redirect", 2, "'redirect' : expects 'location', 'prefix' or 'scheme'"},
	{"frontend", "redirect foo", 11, "'redirect' : unknown keyword 'foo'"},
	{"frontend", "redirect location", 11, "'redirect' : missing argument for 'location'"},
	{"frontend", "redirect scheme https code 200", 24, "'redirect' : 'code' expects 301, 302, 303, 307 or 308, not '200'"},
	{"frontend", "redirect location / keep-query", 22, "'keep-query' of 'redirect' is valid HAProxy but not supported by waggle yet"},
	{"frontend", "redirect if TRUE", 11, "'redirect' : expects 'location', 'prefix' or 'scheme' before the condition"},

	// Statistics.
	{"backend", "stats ur /x", 8, "unknown keyword 'stats ur' in 'backend' section; did you mean 'stats uri' maybe ?"},
	{"backend", "stats uri", 2, "'stats uri' expects a URI prefix"},
	{"backend", "stats auth admin", 13, "'stats auth' expects <user>:<password>"},
	{"backend", "stats admin", 2, "'stats admin' expects 'if' or 'unless' followed by a condition"},
	{"backend", "stats admin when TRUE", 14, "'stats admin' : expects 'if' or 'unless' followed by a condition, not 'when'"},
	{"backend", "stats http-request", 2, "'stats http-request' expects 'allow', 'deny' or 'auth', not ''"},
	{"backend", "stats http-request alow", 21, "'stats http-request' expects 'allow', 'deny' or 'auth', not 'alow'; did you mean 'allow' maybe ?"},
	{"backend", "stats http-request auth realm", 26, "'realm' expects a text"},
	{"backend", "stats http-request deny when TRUE", 26, "'stats http-request' : expects 'if' or 'unless' followed by a condition, not 'when'"},
	{"backend", "stats auth a:b\n stats http-request allow", 2, "'stats http-request' and 'stats auth' or 'stats realm' exclude each other"},
	{"global", "log ::1 sample 1,3-5:4 daemon", 17, "'sample' of 'log' : the size 4 is less than 5, which a range reaches"},
	{"global", "log ::1 sample 1,3-5 daemon", 17, "'sample' of 'log' : expects ranges and a size, such as 1,3-5:10, not '1,3-5'"},
	{"global", "log ::1 sample 3-1:5 daemon", 17, "'sample' of 'log' : wrong range '3-1'"},
	{"global", "log ::1 sample 0:5 daemon", 17, "'sample' of 'log' : wrong range '0'"},
	{"global", "log ::1 sample 1-3,2:5 daemon", 17, "'sample' of 'log' : ranges overlap"},
	{"global", "log ::1 sample 1:0 daemon", 17, "'sample' of 'log' : wrong size '0'"},
}

// parseBeside reads a configuration that lies beside an error page.
func parseBeside(text string) (*Config, Diagnostics, error) {
	return Parse("t.cfg", []byte(text), pure(map[string]string{"503.http": "HTTP/1.1 503 Sorry\r\n\r\n"}))
}

func TestAlerts(t *testing.T) {
	for _, row := range slices.Concat(alertRows, rareAlertRows) {
		text := in(row.section, row.line)
		_, _, err := parseBeside(text)
		var bad *Errors
		if !errors.As(err, &bad) {
			t.Errorf("%s: %s\n no error, want %s", row.section, row.line, row.want)
			continue
		}
		d := bad.List[len(bad.List)-1]
		last := strings.Count(text, "\n")
		if len(bad.List) > 1 || d.Text != row.want || d.Pos.Line != last || d.Pos.Col != row.col {
			t.Errorf("%s: %s\n got %d errors, %d:%d %s\nwant 1 error,  %d:%d %s", row.section, row.line, len(bad.List), d.Pos.Line, d.Pos.Col, d.Text, last, row.col, row.want)
		}
		message.Shown(t, d.Text)
		if lines := strings.Split(text, "\n"); d.Line != lines[d.Pos.Line-1] {
			t.Errorf("%s: the line shown is %q", row.line, d.Line)
		}
	}
}

// remarkRow is what is said of a line that can be used.
type remarkRow struct {
	section, line string
	want          string // severity line:col text
}

func TestRemarks(t *testing.T) {
	tests := []remarkRow{
		{"global", "daemon", "NOTICE 2:2 'daemon' is ignored: waggle stays in the foreground, as containers and systemd want it"},
		{"global", "tune.ssl.cachesize 3", "NOTICE 2:2 'tune.ssl.cachesize' is ignored: crypto/tls has its own way"},
		{"global", ".notice hello", "NOTICE 2:2 hello"},
		{"global", ".warning hello", "WARNING 2:2 hello"},
		{"global", "stats socket /s user root", "NOTICE 2:18 'user' of 'stats socket' is ignored: the socket belongs to the user waggle runs as; set 'mode'"},
		{"backend", "use_backend x", "WARNING 7:2 'use_backend' ignored because backend 'b' has no frontend capability"},
		{"frontend", "balance roundrobin", "WARNING 9:2 'balance' ignored because frontend 'f' has no backend capability"},
		{"frontend", "bind :80 tfo", "NOTICE 9:11 'tfo' on a 'bind' line is ignored: it tunes HAProxy's sockets and threads"},
		{"backend", "server s a:80 tfo", "NOTICE 7:16 'tfo' on a 'server' line is ignored: it tunes HAProxy's own machinery"},
		{"", "backend b\nfrontend b\n bind :1\n timeout client 1s", "WARNING 2:10 frontend 'b' has the same name as backend 'b' declared at t.cfg:1; later versions of HAProxy refuse that"},
		{"", "defaults d\ndefaults d", ""},
		{"backend", "no option nolinger", ""},
		{"backend", "option splice-auto", "NOTICE 7:2 'option splice-auto' is ignored: the engine decides by itself"},
		{"backend", "no option splice-auto", ""},
		{"frontend", "http-request return hdr Content-Length 3", "WARNING 9:26 'http-request return' : header 'Content-Length' is always ignored, since it belongs to the framing"},
		{"frontend", "http-request return content-type a", "WARNING 9:22 'http-request return' : 'content-type' is ignored because there is no body"},
		{"defaults", "compression offload", "WARNING 6:2 'compression offload' is ignored in a 'defaults' section"},
		{"frontend", "tcp-request connection reject if { path /x }", "WARNING 9:35 an ACL will never match here because it looks at what is not available at this moment"},
		{"frontend", "tcp-request session reject if { req.len gt 0 }", "WARNING 9:32 an ACL will never match here because it looks at what is not available at this moment"},
		{"frontend", "http-response deny if { path /x }", "WARNING 9:24 an ACL will never match here because it looks at what is not available at this moment"},
		{"frontend", "acl a path_beg", "WARNING 9:8 'path_beg' has no pattern to match against, so it never matches; '-m found' tests for existence"},
		{"frontend", "use_backend b if TRUE\n http-request deny", "WARNING 10:2 this 'http-request' rule runs before the 'use_backend' rule above it, whatever the order of their lines"},
		{"backend", `option httpchk GET / HTTP/1.1\r\nHost:x`, "WARNING 7:23 'option httpchk' : headers behind the version are deprecated; write 'http-check send hdr <name> <value>'"},
		{"backend", "http-check send uri /x", "WARNING 6:1 backend 'b' uses http-check rules without 'option httpchk', so the rules are ignored"},
		{"backend", "server-template w 3 a:80", "WARNING 7:2 server-template 'w' has no 'resolvers': its slots keep the addresses of the start"},
		{"backend", "acl a always_true false", "WARNING 7:8 'always_true' is compared by '-m bool', which looks at no pattern: as in HAProxy what stands behind it changes nothing, not even 'false' or 0"},
		{"backend", "acl a req.ssl_sni x\n http-request deny if a", "WARNING 8:20 backend 'b' : what looks at the first bytes of a TCP client is of no use in HTTP mode; of a client of TLS see ssl_fc_sni and its kin"},
		{"backend", "mode tcp\n stats enable", "WARNING 8:2 'stats' ignored for backend 'b' as it requires HTTP mode"},
		{"backend", "mode tcp\n http-request deny", "WARNING 8:2 'http-request' ignored for backend 'b' as it requires HTTP mode"},
		{"backend", "mode tcp\n option forwardfor", "WARNING 6:1 'option forwardfor' ignored for backend 'b' as it requires HTTP mode"},
		{"backend", "mode tcp\n option originalto", "WARNING 6:1 'option originalto' ignored for backend 'b' as it requires HTTP mode"},
		{"backend", "mode tcp\n option http-buffer-request", "WARNING 6:1 'option http-buffer-request' ignored for backend 'b' as it requires HTTP mode"},
		{"frontend", "mode tcp\n capture cookie x len 3", "WARNING 7:1 'capture cookie' ignored for frontend 'f' as it requires HTTP mode"},
		{"backend", "email-alert from a\n email-alert to b", "WARNING 7:2 backend 'b' : 'email-alert' is ignored without each of 'email-alert from', 'email-alert to' and 'email-alert mailers'"},
		{"", "mailers m\n mailer a 1.1.1.1:25\nbackend b\n email-alert from a\n email-alert to b\n email-alert mailers m", "WARNING 4:2 backend 'b' : no mail is sent about its servers yet; their changes are in the log, and in the metrics, which can be watched"},
		{"", "mailers m", "WARNING 1:1 no proxy uses the mailers section 'm'"},
		{"", "frontend f\n timeout client 1s", "WARNING 1:1 frontend 'f' has no 'bind' directive: nothing can reach it; write 'backend' if it was meant to be one"},
		{"", "frontend f\n bind :1", "WARNING 1:1 missing timeouts for frontend 'f': without 'timeout client' silent peers hold their connections for ever"},
		{"", "backend f\n server s 1.1.1.1:1", "WARNING 1:1 missing timeouts for backend 'f': without 'timeout connect', 'timeout server' silent peers hold their connections for ever"},
		{"", "resolvers r", "WARNING 1:1 resolvers 'r' has no name server: nothing that uses it resolves"},
	}
	for _, test := range append(tests, rareRemarkRows...) {
		_, remarks, err := parseBeside(in(test.section, test.line))
		if err != nil {
			t.Errorf("%s: %s\n%v", test.section, test.line, err)
		}
		var got []string
		for _, d := range remarks {
			got = append(got, fmt.Sprintf("%s %d:%d %s", d.Severity, d.Pos.Line, d.Pos.Col, d.Text))
		}
		if s := strings.Join(got, "\n"); s != test.want {
			t.Errorf("%s: %s\n got %s\nwant %s", test.section, test.line, s, test.want)
		}
		message.Shown(t, test.want)
	}
}

func TestReadingStopsAfterFiftyErrors(t *testing.T) {
	_, _, err := parse("global\n" + strings.Repeat(" nonsense\n", 80))
	var bad *Errors
	if !errors.As(err, &bad) || len(bad.List) != maxErrors || !bad.Truncated {
		t.Fatalf("%v", err)
	}
	if !strings.HasSuffix(err.Error(), "too many errors, stopped there") {
		t.Errorf("%s", err)
	}
	message.Shown(t, err.Error())
}

// A misspelled section is one error: its lines are not blamed on the section before.
func TestMisspelledSection(t *testing.T) {
	_, _, err := parse("global\n maxconn 3\nfrontent f\n bind :1\n mode http\nbackend b\n nonsense\n")
	if err == nil || err.Error() != "t.cfg:3: unknown keyword 'frontent' in 'global' section; did you mean 'frontend' maybe ?\nt.cfg:7: unknown keyword 'nonsense' in 'backend' section" {
		t.Errorf("error %v", err)
	}
}

// Ranges cannot make a small file use memory without bound.
func TestRangesAreBounded(t *testing.T) {
	for text, want := range map[string]string{
		"frontend f\n" + strings.Repeat(" bind :1-65535\n", 3):                         "t.cfg:4: 'bind' : more than 131070 addresses in all",
		"backend b\n" + strings.Repeat(" server-template s 65535 a:1\nbackend c\n", 1): "",
		manyTemplates(5): "t.cfg:10: more than 262140 servers and slots in all",
	} {
		_, _, err := parse(text)
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
			t.Errorf("%.40q: %s, want %q", text, got, want)
		}
		message.Shown(t, want)
	}
}

func manyTemplates(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "backend b%d\n server-template s 65535 a:1\n", i)
	}
	return b.String()
}

func TestZeroWarning(t *testing.T) {
	_, _, err := parse("global\n zero-warning\nresolvers r\n")
	const want = "t.cfg:3: resolvers 'r' has no name server: nothing that uses it resolves ('zero-warning' is set)"
	if err == nil || err.Error() != want {
		t.Errorf("error %v", err)
	}
	message.Shown(t, want)
}
