package config

// foreignGlobals are the global settings of HAProxy 3.2 that waggle does not act on. A setting that
// only tunes HAProxy's own machinery, or a feature whose use is an error anyway, is ignored with a
// notice; one whose absence could be felt is an error.
func foreignGlobals() []directive {
	const own = "it tunes HAProxy's own machinery"
	const feature = "it belongs to a feature whose use is reported by itself"
	const privileges = "waggle keeps the user it was started as, since the kernel path needs capabilities; it drops the rest by itself"
	const supervised = "the container engine or systemd supervises the process"
	rows := [][]directive{
		group(inGlobal, Ignored, "the process's user and rights", privileges, "user group uid gid chroot setcap set-dumpable insecure-setuid-wanted"),
		group(inGlobal, Ignored, "supervision of the process", supervised, "master-worker mworker-max-reloads pidfile nbproc quiet quick-exit stress-level"),
		group(inGlobal, Ignored, "limits of the process", "waggle raises its own limits to what the configuration needs", "ulimit-n fd-hard-limit strict-limits maxpipes prealloc-fd"),
		group(inGlobal, Ignored, "placement of threads", "the Go runtime and the container's CPU limit decide", "cpu-map cpu-policy cpu-set numa-cpu-mapping thread-groups thread-group thread-hard-limit"),
		group(inGlobal, Ignored, "choice of system calls", own, "busy-polling noepoll noevports nogetaddrinfo nokqueue nopoll noreuseport nosplice no-memory-trimming no-quic limited-quic"),
		group(inGlobal, Ignored, "debugging of HAProxy", own, `anonkey debug.counters force-cfg-parser-pause warn-blocked-traffic-after profiling.memory profiling.tasks
			expose-deprecated-directives expose-experimental-directives close-spread-time pp2-never-send-local`),
		group(inGlobal, Ignored, "defaults of TLS that change nothing here", "crypto/tls has its own way", `ssl-default-bind-sigalgs
			ssl-default-bind-client-sigalgs ssl-default-server-client-sigalgs ssl-default-server-sigalgs ssl-dh-param-file ssl-engine ssl-mode-async
			ssl-propquery ssl-provider ssl-provider-path ssl-security-level ssl-skip-self-issued-ca`),
		group(inGlobal, Ignored, "certificates by other ways", feature, `key-base issuers-chain-path ssl-load-extra-del-ext ssl-load-extra-files ssl-passphrase-cmd
			ocsp-update.disable ocsp-update.httpproxy ocsp-update.maxdelay ocsp-update.mindelay ocsp-update.mode acme.scheduler`),
		group(inGlobal, Ignored, "tuning of TLS", "crypto/tls has its own way", `tune.ssl.cachesize tune.ssl.capture-buffer-size tune.ssl.capture-cipherlist-size tune.ssl.default-dh-param
			tune.ssl.force-private-cache tune.ssl.hard-maxrecord tune.ssl.keylog tune.ssl.lifetime tune.ssl.maxrecord tune.ssl.ssl-ctx-cache-size tune.ssl.ocsp-update.maxdelay tune.ssl.ocsp-update.mindelay`),
		group(inGlobal, Ignored, "tuning of HTTP/2", "its windows, tables and frames have fixed sizes", `tune.h2.be.glitches-threshold tune.h2.be.initial-window-size tune.h2.be.max-concurrent-streams tune.h2.be.rxbuf
			tune.h2.fe.glitches-threshold tune.h2.fe.initial-window-size tune.h2.fe.max-total-streams tune.h2.fe.rxbuf tune.h2.header-table-size
			tune.h2.initial-window-size tune.h2.max-frame-size tune.h2.zero-copy-fwd-send h2-workaround-bogus-websocket-clients`),
		group(inGlobal, Ignored, "tuning of QUIC", feature, `tune.quic.cc-hystart tune.quic.cc.cubic.min-losses tune.quic.disable-tx-pacing tune.quic.disable-udp-gso tune.quic.frontend.glitches-threshold
			tune.quic.frontend.max-data-size tune.quic.frontend.max-idle-timeout tune.quic.frontend.max-streams-bidi tune.quic.frontend.max-tx-mem tune.quic.frontend.stream-data-ratio
			tune.quic.frontend.default-max-window-size tune.quic.frontend.conn-tx-buffers.limit tune.quic.frontend.max-window-size tune.quic.max-frame-loss tune.quic.reorder-ratio
			tune.quic.retry-threshold tune.quic.socket-owner tune.quic.zero-copy-fwd-send tune.quic.backend.max-idle-timeout harden.reject-privileged-ports.quic`),
		group(inGlobal, Ignored, "tuning of Lua, variables, stick tables and zlib", feature, `tune.vars.check-max-size tune.lua.bool-sample-conversion tune.lua.burst-timeout tune.lua.forced-yield tune.lua.log.loggers
			tune.lua.log.stderr tune.lua.maxmem tune.lua.service-timeout tune.lua.session-timeout tune.lua.task-timeout tune.vars.global-max-size tune.vars.proc-max-size
			tune.vars.reqres-max-size tune.vars.sess-max-size tune.vars.txn-max-size tune.stick-counters tune.peers.max-updates-at-once tune.zlib.memlevel tune.zlib.windowsize`),
		group(inGlobal, Ignored, "memory of compression", "a compressor belongs to an event loop, and no response has one of its own", "maxzlibmem"),
		group(inGlobal, Ignored, "tuning of memory and scheduling", own, `tune.applet.zero-copy-forwarding tune.buffers.limit tune.buffers.reserve tune.bufsize.small tune.chksize tune.glitches.kill.cpu-usage tune.notsent-lowat.client
			tune.notsent-lowat.server tune.disable-fast-forward
			tune.disable-zero-copy-forwarding tune.epoll.mask-events tune.events.max-events-at-once tune.fail-alloc tune.fd.edge-triggered tune.h1.zero-copy-fwd-recv
			tune.h1.zero-copy-fwd-send tune.idle-pool.shared tune.idletimer tune.listener.default-shards tune.listener.multi-queue tune.max-checks-per-thread tune.max-rules-at-once
			tune.maxaccept tune.maxpollevents tune.memory.hot-size tune.pattern.cache-size tune.pipesize tune.pool-high-fd-ratio tune.pool-low-fd-ratio tune.pt.zero-copy-forwarding
			tune.rcvbuf.backend tune.rcvbuf.client tune.rcvbuf.frontend tune.rcvbuf.server tune.recv_enough tune.renice.runtime tune.renice.startup tune.ring.queues
			tune.runqueue-depth tune.sched.low-latency tune.sndbuf.backend tune.sndbuf.client tune.sndbuf.frontend tune.sndbuf.server tune.takeover-other-tg-connections`),
		group(inGlobal, Ignored, "requests that HAProxy itself makes", feature, `httpclient.resolvers.disabled httpclient.resolvers.id httpclient.resolvers.prefer httpclient.retries
			httpclient.ssl.ca-file httpclient.ssl.verify httpclient.timeout.connect insecure-fork-wanted`),
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
	var all []directive
	for _, r := range rows {
		all = append(all, r...)
	}
	return all
}
