package certs

import (
	"errors"
	"fmt"

	"waggle/pkg/config"
)

// Check loads everything that a configuration names, and tells what cannot be, at the lines that ask for it.
func Check(cfg *config.Config) config.Diagnostics {
	var bad config.Diagnostics
	report := func(pos config.Pos, p *config.Proxy, what string, err error) {
		for _, err := range split(err) {
			bad = append(bad, config.Diagnostic{Severity: config.Alert, Pos: pos, Text: fmt.Sprintf("%s '%s' : %s : %s", p.Kind, p.Name, what, err)})
		}
	}
	for _, p := range cfg.Proxies {
		if p.Disabled {
			continue
		}
		for i := range p.Binds {
			if b := &p.Binds[i]; b.TLS.Enabled {
				if _, err := Load(b); err != nil {
					report(b.Pos, p, fmt.Sprintf("bind '%s'", b.Addr), err)
				}
			}
		}
		for i := range p.Servers {
			if srv := &p.Servers[i]; srv.TLS.Enabled || srv.TLS.Check {
				if _, err := Client(&srv.TLS); err != nil {
					report(srv.Pos, p, fmt.Sprintf("server '%s'", srv.Name), err)
				}
			}
		}
	}
	return bad
}

func split(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}
