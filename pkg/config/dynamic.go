package config

import (
	"errors"
	"fmt"
	"slices"
)

// dynamicParams are the parameters that a server may have which is added at run time. Those that are
// missing belong to what is built once, at the start.
func dynamicParams() []string {
	return []string{
		"addr", "backup", "check", "disabled", "downinter", "enabled", "fall", "fastinter", "id", "inter", "maxconn", "maxqueue",
		"no-backup", "no-check", "no-send-proxy", "no-send-proxy-v2", "on-marked-down", "port", "rise", "send-proxy", "send-proxy-v2", "source", "interface", "weight",
	}
}

// ParseDynamicServer reads a server as `add server <backend>/<name>` of the Runtime API has it: words are
// the address and the parameters. As in HAProxy, `default-server` lines do not count. The error is a
// sentence for the operator; remarks are notices about parameters without effect.
func ParseDynamicServer(name string, words []string) (srv *Server, remarks Diagnostics, err error) {
	if len(words) == 0 {
		return nil, nil, errors.New("'server' expects <name> and <addr>[:<port>] as arguments")
	}
	p := newParser(LoadOptions{ReadFile: func(string) ([]byte, error) { return nil, errors.New("no files are read at run time") }})
	p.proxy = newProxyState()
	s := &statement{p: p, keyword: []word{{text: "server"}}, args: []word{{text: name}}}
	for _, w := range words {
		s.args = append(s.args, word{text: w})
	}
	s.server()
	if len(p.errors) > 0 {
		return nil, nil, fmt.Errorf("%s", p.errors[0].Text)
	}
	srv = &p.proxy.Servers[0]
	for _, param := range serverParams() {
		if slices.Contains(srv.Params, param.name) && param.status == Supported && !slices.Contains(dynamicParams(), param.name) {
			return nil, nil, fmt.Errorf("'%s' option is not accepted for dynamic server", param.name)
		}
	}
	return srv, p.remarks, nil
}
