package config

// foreignGlobals are the global settings of HAProxy 3.2 that waggle does not act on. A setting that
// only tunes HAProxy's own machinery, or a feature whose use is an error anyway, is ignored with a
// notice; one whose absence could be felt is an error.
func foreignGlobals() []directive {
	const own = "it tunes HAProxy's own machinery"
	const feature = "it belongs to a feature whose use is reported by itself"
	const privileges = "waggle keeps the user it was started as, since the kernel path needs capabilities; it drops the rest by itself"
	const supervised = "the container engine or systemd supervises the process"
	const placement = "the Go runtime and the container's CPU limit decide"
	rows := [][]directive{
		group(inGlobal, Ignored, "the process's user and rights", privileges, "user group uid=n gid=n chroot setcap set-dumpable insecure-setuid-wanted=none"),
		group(inGlobal, Ignored, "supervision of the process", supervised, "master-worker mworker-max-reloads=n pidfile quiet=none quick-exit stress-level"),
		group(inGlobal, Ignored, "limits of the process", "waggle raises its own limits to what the configuration needs", "ulimit-n=n fd-hard-limit=n strict-limits=none maxpipes=n prealloc-fd=none"),
		group(inGlobal, Ignored, "placement of threads", placement, "cpu-policy cpu-set numa-cpu-mapping thread-groups=1..16 thread-group thread-hard-limit=n"),
		group(inGlobal, Ignored, "choice of system calls", own, "busy-polling=none noepoll=none noevports=none nogetaddrinfo=none nokqueue=none nopoll=none noreuseport=none nosplice=none no-memory-trimming=none no-quic=none limited-quic"),
		group(inGlobal, Ignored, "debugging of HAProxy", own, `anonkey=n debug.counters force-cfg-parser-pause warn-blocked-traffic-after=time profiling.memory=on|off profiling.tasks=on|off|auto
			expose-deprecated-directives=none expose-experimental-directives=none close-spread-time=time pp2-never-send-local`),
		group(inGlobal, Ignored, "defaults of TLS that change nothing here", "crypto/tls has its own way", `ssl-default-bind-sigalgs
			ssl-default-bind-client-sigalgs ssl-default-server-client-sigalgs ssl-default-server-sigalgs ssl-dh-param-file ssl-engine ssl-mode-async
			ssl-propquery ssl-provider ssl-provider-path ssl-security-level ssl-skip-self-issued-ca`),
		group(inGlobal, Ignored, "certificates by other ways", feature, `key-base issuers-chain-path ssl-load-extra-del-ext ssl-load-extra-files ssl-passphrase-cmd
			ocsp-update.disable ocsp-update.httpproxy ocsp-update.maxdelay ocsp-update.mindelay ocsp-update.mode acme.scheduler`),
		group(inGlobal, Ignored, "tuning of TLS", "crypto/tls has its own way", `tune.ssl.cachesize=n tune.ssl.capture-buffer-size=n tune.ssl.capture-cipherlist-size=n tune.ssl.default-dh-param=1024..
			tune.ssl.force-private-cache tune.ssl.hard-maxrecord=n tune.ssl.keylog tune.ssl.lifetime=seconds tune.ssl.maxrecord=n tune.ssl.ssl-ctx-cache-size=n tune.ssl.ocsp-update.maxdelay tune.ssl.ocsp-update.mindelay`),
		group(inGlobal, Ignored, "tuning of HTTP/2", "its windows, tables and frames have fixed sizes", `tune.h2.be.glitches-threshold=n tune.h2.be.initial-window-size=n tune.h2.be.max-concurrent-streams=n tune.h2.be.rxbuf=size
			tune.h2.fe.glitches-threshold=n tune.h2.fe.initial-window-size=n tune.h2.fe.max-total-streams=n tune.h2.fe.rxbuf=size tune.h2.header-table-size=4096..65536
			tune.h2.initial-window-size=n tune.h2.max-frame-size=16384..16777215 tune.h2.zero-copy-fwd-send h2-workaround-bogus-websocket-clients`),
		group(inGlobal, Ignored, "tuning of QUIC", feature, `tune.quic.cc-hystart tune.quic.cc.cubic.min-losses tune.quic.disable-tx-pacing tune.quic.disable-udp-gso tune.quic.frontend.glitches-threshold
			tune.quic.frontend.max-data-size tune.quic.frontend.max-idle-timeout tune.quic.frontend.max-streams-bidi tune.quic.frontend.max-tx-mem tune.quic.frontend.stream-data-ratio
			tune.quic.frontend.default-max-window-size tune.quic.frontend.conn-tx-buffers.limit tune.quic.frontend.max-window-size tune.quic.max-frame-loss tune.quic.reorder-ratio
			tune.quic.retry-threshold tune.quic.socket-owner tune.quic.zero-copy-fwd-send tune.quic.backend.max-idle-timeout harden.reject-privileged-ports.quic`),
		group(inGlobal, Ignored, "tuning of Lua, variables, stick tables and zlib", feature, `tune.vars.check-max-size=n tune.lua.bool-sample-conversion tune.lua.burst-timeout tune.lua.forced-yield=n tune.lua.log.loggers
			tune.lua.log.stderr tune.lua.maxmem=n tune.lua.service-timeout=time tune.lua.session-timeout=time tune.lua.task-timeout=time tune.vars.global-max-size=n tune.vars.proc-max-size=n
			tune.vars.reqres-max-size=n tune.vars.sess-max-size=n tune.vars.txn-max-size=n tune.stick-counters=n tune.peers.max-updates-at-once=1.. tune.zlib.memlevel=1..9 tune.zlib.windowsize=8..15`),
		group(inGlobal, Ignored, "memory of compression", "a compressor belongs to an event loop, and no response has one of its own", "maxzlibmem=n"),
		group(inGlobal, Ignored, "tuning of memory and scheduling", own, `tune.applet.zero-copy-forwarding tune.buffers.limit=n tune.buffers.reserve=n tune.bufsize.small=size tune.chksize tune.glitches.kill.cpu-usage tune.notsent-lowat.client=size
			tune.notsent-lowat.server=size tune.disable-fast-forward
			tune.disable-zero-copy-forwarding tune.epoll.mask-events tune.events.max-events-at-once=n tune.fail-alloc=0..100 tune.fd.edge-triggered=on|off tune.h1.zero-copy-fwd-recv
			tune.h1.zero-copy-fwd-send tune.idle-pool.shared=on|off|auto tune.idletimer=time tune.listener.default-shards=by-process|by-thread|by-group tune.listener.multi-queue=on|off|fair tune.max-checks-per-thread=n tune.max-rules-at-once=n
			tune.maxaccept=-1.. tune.maxpollevents=n tune.memory.hot-size=size tune.pattern.cache-size=n tune.pipesize=size tune.pool-high-fd-ratio=0..100 tune.pool-low-fd-ratio=0..100 tune.pt.zero-copy-forwarding
			tune.rcvbuf.backend=size tune.rcvbuf.client=size tune.rcvbuf.frontend=size tune.rcvbuf.server=size tune.recv_enough=n tune.renice.runtime=-20..19 tune.renice.startup=-20..19 tune.ring.queues
			tune.runqueue-depth=n tune.sched.low-latency=on|off tune.sndbuf.backend=size tune.sndbuf.client=size tune.sndbuf.frontend=size tune.sndbuf.server=size tune.takeover-other-tg-connections`),
		group(inGlobal, Ignored, "requests that HAProxy itself makes", feature, `httpclient.resolvers.disabled httpclient.resolvers.id httpclient.resolvers.prefer httpclient.retries
			httpclient.ssl.ca-file httpclient.ssl.verify httpclient.timeout.connect insecure-fork-wanted=none`),
		group(inGlobal, Ignored, "leave for checks by programs", feature, "external-check"),

		group(inGlobal, Unsupported, "which status codes count as errors", "", "http-err-codes http-fail-codes"),
		group(inGlobal, Unsupported, "certificates", "", "ssl-f-use"),
		group(inGlobal, Unsupported, "rate limits of the process", "", "maxsslconn maxsslrate maxconnrate maxsessrate harden.reject-privileged-ports.tcp"),
		group(inGlobal, Unsupported, "form of HTTP/1 messages", "", `h1-accept-payload-with-any-method h1-case-adjust h1-case-adjust-file h1-do-not-close-on-insecure-transfer-encoding
			tune.http.cookielen tune.http.logurilen`),
		group(inGlobal, Unsupported, "statistics kept in a file", "", "stats-file"),
		group(inGlobal, Unsupported, "variables and paths", "", "set-var set-var-fmt"),
		group(inGlobal, Unsupported, "Lua and other programs", "", "lua-load lua-load-per-thread lua-prepend-path"),
		group(inGlobal, Unsupported, "clusters and name resolution", "", "cluster-secret dns-accept-family"),
		group(inGlobal, Unsupported, "device detection", "", `51degrees-allow-unmatched 51degrees-cache-size 51degrees-data-file 51degrees-difference 51degrees-drift 51degrees-property-name-list
			51degrees-property-separator 51degrees-use-performance-graph 51degrees-use-predictive-graph deviceatlas-json-file deviceatlas-log-level
			deviceatlas-properties-cookie deviceatlas-separator wurfl-cache-size wurfl-data-file wurfl-information-list wurfl-information-list-separator`),
	}
	all := []directive{{name: "cpu-map", in: inGlobal, args: "[auto:]<threads> <cpus>…", doc: "placement of threads", status: Ignored, why: placement, parse: (*statement).cpuMap}}
	for _, r := range rows {
		all = append(all, r...)
	}
	return all
}
