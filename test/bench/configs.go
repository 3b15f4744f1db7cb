package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
)

// haproxySettings are what differs between the contenders that read an HAProxy configuration.
type haproxySettings struct {
	mode    string
	threads int // 0: as many as the program likes
	haproxy bool
	reuse   bool
	splice  bool
	tls     bool   // also listen on securePort
	timeout string // of clients and servers; 60s if empty
}

// haproxyConfig is for HAProxy and waggle alike. No checks and no log: they would be the same for all, and what is
// compared is the work that a request makes.
func haproxyConfig(st *stage, s haproxySettings) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global\n    maxconn %d\n", st.setting.maxconn)
	if s.haproxy { // which otherwise does not start if each connection might need two sockets and a pipe too many
		b.WriteString("    no strict-limits\n")
	}
	if s.threads > 0 {
		fmt.Fprintf(&b, "    nbthread %d\n", s.threads)
	}
	if s.splice {
		b.WriteString("    tune.bufsize 65536\n")
	}
	timeout := cmp.Or(s.timeout, "60s")
	fmt.Fprintf(&b, "defaults\n    mode %s\n    timeout connect 5s\n    timeout client %s\n    timeout server %s\n", s.mode, timeout, timeout)
	fmt.Fprintf(&b, "frontend in\n    bind *:%d\n", port)
	if s.tls {
		fmt.Fprintf(&b, "    bind *:%d ssl crt %s alpn h2,http/1.1\n", securePort, filepath.Join(st.setting.files, certificateFile))
	}
	b.WriteString("    default_backend web\n")
	b.WriteString("backend web\n    balance roundrobin\n")
	if s.reuse {
		b.WriteString("    http-reuse always\n")
	}
	if s.splice {
		b.WriteString("    option splice-response\n")
	}
	for _, task := range st.tasks {
		fmt.Fprintf(&b, "    server %s %s\n", task.Name(), task.Endpoint())
	}
	return b.String()
}

// boundConfig gives each server a frontend of its own, so that the client chooses the server, as in plain forwarding.
func boundConfig(st *stage) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global\n    maxconn %d\n", st.setting.maxconn)
	b.WriteString("defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n")
	for i, task := range st.tasks {
		fmt.Fprintf(&b, "listen %s\n    bind *:%d\n    server %s %s\n", task.Name(), port+i, task.Name(), task.Endpoint())
	}
	return b.String()
}

// observer is what waggle gets besides, so that it can be asked which path carried the connections.
const observer = `
frontend observer
    mode http
    timeout client 5s
    bind 127.0.0.1:8404
    http-request use-service prometheus-exporter if { path /metrics }
    stats enable
    stats uri /
`

// nginxPlaces keep nginx out of the machine's directories, in the /run of its own that the lab gives a process.
const nginxPlaces = `user root;
daemon off;
pid /run/nginx.pid;
error_log stderr warn;
`

// manyRequests keeps nginx from closing kept connections in the middle of a measurement.
const manyRequests = 1_000_000_000

func nginxWebConfig(workers, content string) string {
	return nginxPlaces + fmt.Sprintf(`worker_processes %s;
events { worker_connections 32768; }
http {
	access_log off;
	default_type text/plain;
	sendfile on;
	tcp_nopush on;
	keepalive_timeout 300s;
	keepalive_requests %d;
	client_body_temp_path /run/nginx-1;
	proxy_temp_path /run/nginx-2;
	fastcgi_temp_path /run/nginx-3;
	uwsgi_temp_path /run/nginx-4;
	scgi_temp_path /run/nginx-5;
%s
}
`, workers, manyRequests, content)
}

// nginxServerConfig is for the servers behind every contender. files is a directory that holds the bodies.
func nginxServerConfig(files string) string {
	return nginxWebConfig("1", fmt.Sprintf(`	open_file_cache max=10;
	server {
		listen %d backlog=4096;
		root %s;
		location = / { return 200 "hostname: $hostname\n"; }
	}`, port, files))
}

func upstream(st *stage, more string) string {
	servers := ""
	for _, task := range st.tasks {
		servers += fmt.Sprintf("server %s; ", task.Endpoint())
	}
	return fmt.Sprintf("	upstream web { %s%s }", servers, more)
}

func nginxProxyConfig(st *stage) string {
	return nginxWebConfig("1", fmt.Sprintf(`%s
	server {
		listen %d backlog=4096;
		location / {
			proxy_pass http://web;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_max_temp_file_size 0;
		}
	}`, upstream(st, fmt.Sprintf("keepalive 512; keepalive_requests %d;", manyRequests)), port))
}

func nginxStreamConfig(st *stage) string {
	return "load_module " + streamModule + ";\n" + nginxPlaces + fmt.Sprintf(`worker_processes 2;
events { worker_connections 32768; }
stream {
%s
	server {
		listen %d backlog=4096;
		proxy_pass web;
	}
}
`, upstream(st, ""), port)
}
