package config

import "sync"

// directives is the table of everything that a line may begin with. It is made once, and nobody changes it.
var directives = sync.OnceValue(func() *table {
	return newTable(
		globalDirectives(), resolversDirectives(), proxyDirectives(), sourceDirectives(), ruleDirectives(), tcpRuleDirectives(), errorDirectives(), userlistDirectives(), serverDirectives(),
		optionDirectives(), persistDirectives(), healthCheckDirectives(), httpCheckDirectives(), tcpCheckDirectives(), statsDirectives(), serverStateDirectives(), stickDirectives(), stickRuleDirectives(), compressionDirectives(), foreignProxyDirectives(), ringDirectives(), peersDirectives(), mailersDirectives(), unixBindDirectives(), defaultPathDirectives(), removedDirectives(),
	)
})

// noPrograms is why checks by a program are not supported.
const noPrograms = "it starts no programs, and its image holds none; use tcp-check, http-check or agent-check"

// foreignProxyDirectives are the settings of proxies in HAProxy 3.2 that waggle does not act on.
func foreignProxyDirectives() []directive {
	rows := [][]directive{
		group(inProxies, Ignored, "identity in tools", "nothing here uses it", "guid"),
		group(frontOrDef, Ignored, "tuning of client keep-alive probes", "the kernel's settings apply", "clitcpka-cnt=n clitcpka-idle=seconds clitcpka-intvl=seconds"),
		group(backOrDef, Ignored, "tuning of server keep-alive probes", "the kernel's settings apply", "srvtcpka-cnt=n srvtcpka-idle=seconds srvtcpka-intvl=seconds"),

		group(backOrDef, Unsupported, "persistence of RDP", "", "persist+rdp-cookie"),
		group(frontOrDef, Unsupported, "forms of log lines", "", "log-steps"),
		group(backOrDef, Unsupported, "checks by a program", noPrograms, "option+external-check external-check+command external-check+path"),
		group(inProxies, Unsupported, "filters of streams", "", "filter"),
		group(frontOrDef, Unsupported, "limits", "", "max-session-srv-conns"),
		group(backOrDef, Unsupported, "limits of queued connections", "", "max-keep-alive-queue"),
		group(frontSide, Unsupported, "certificates", "", "crt ssl-f-use"),
		group(frontOrDef, Unsupported, "health checks by address", "", "monitor-net"),
		group(frontOrDef, Unsupported, "rules for QUIC", "", "quic-initial"),
		group(backSide, Unsupported, "other ways to a server", "", "use-fcgi-app dispatch transparent"),
		group(anyProxy, Unsupported, "rules for connections", "", "tcp-response+content tcp-response+inspect-delay"),
	}
	var all []directive
	for _, r := range rows {
		all = append(all, r...)
	}
	return all
}

// removedDirectives are keywords of old configurations that HAProxy 3.2 refuses.
func removedDirectives() []directive {
	const doc = "an old spelling"
	var all []directive
	for use, names := range map[string]string{
		"'timeout connect'":                                              "contimeout",
		"'timeout client'":                                               "clitimeout cliexp",
		"'timeout server'":                                               "srvtimeout srvexp",
		"'option redispatch'":                                            "redispatch redisp",
		"'option httpclose'":                                             "option+forceclose option+http-tunnel",
		"'http-request deny' and a condition":                            "block reqdeny reqideny",
		"'http-request allow' and a condition":                           "reqpass reqipass reqallow reqiallow",
		"'http-request tarpit' and a condition":                          "reqtarpit reqitarpit",
		"'http-request add-header <name> <value>'":                       "reqadd",
		"'http-request del-header <name>'":                               "reqdel reqidel",
		"'http-request replace-path', 'replace-uri' or 'replace-header'": "reqrep reqirep",
		"'http-request set-header <name> <value>'":                       "reqset reqiset",
		"'http-response add-header <name> <value>'":                      "rspadd",
		"'http-response del-header <name>'":                              "rspdel rspidel",
		"'http-response deny' and a condition":                           "rspdeny rspideny",
		"'http-response replace-header <name> <regex> <value>'":          "rsprep rspirep",
		"'cookie' or 'stick-table'":                                      "appsession",
		"nothing: there is one process":                                  "bind-process",
	} {
		all = append(all, group(anyProxy, Removed, doc, use, names)...)
	}
	return append(all, group(inGlobal, Removed, doc, "'nbthread'", "nbproc")...)
}
