package stats

import (
	"net/url"
	"strings"

	"waggle/pkg/config"
)

// scopeMax is the longest filter that is taken, in bytes, as in HAProxy.
const scopeMax = 20

// options are what the tokens of a request target ask for.
type options struct {
	format    string // "", csv, typed, json, json-schema
	up        bool
	noMaint   bool
	noRefresh bool
	scope     string
	outcome   outcome // of a form that was sent before
}

// parseOptions reads the tokens after the page's URI. A form of the page sends the same words as
// parameters, so `up=1` is `;up`.
func parseOptions(uri string, cfg *config.Stats) options {
	var o options
	tokens, _ := cfg.Tokens([]byte(uri))
	for _, token := range strings.FieldsFunc(string(tokens), func(r rune) bool { return r == ';' || r == '?' || r == '&' }) {
		name, value, _ := strings.Cut(token, "=")
		switch name {
		case "csv", "typed", "json", "json-schema":
			o.format = name
		case "up":
			o.up = true
		case "no-maint":
			o.noMaint = true
		case "norefresh":
			o.noRefresh = true
		case "st":
			o.outcome = outcome(value[:min(len(value), 4)])
		case "scope":
			if v, err := url.QueryUnescape(value); err == nil {
				o.scope = v[:min(len(v), scopeMax)]
			}
		}
	}
	return o
}

// link returns the address of the page with these options. Tokens come after a `?`, so that the path
// stays the one that an ACL on the exact path lets through; HAProxy's own links do not.
func (o options) link(cfg *config.Stats) string {
	var tokens strings.Builder
	for _, t := range []struct {
		on   bool
		name string
	}{
		{o.outcome != "", "st=" + url.QueryEscape(string(o.outcome))}, {o.format != "", o.format}, {o.up, "up"}, {o.noMaint, "no-maint"}, {o.noRefresh, "norefresh"},
		{o.scope != "", "scope=" + url.QueryEscape(o.scope)},
	} {
		if t.on {
			tokens.WriteString(";" + t.name)
		}
	}
	base := cfg.URI
	if tokens.Len() > 0 && !strings.Contains(base, "?") {
		base += "?"
	}
	return base + tokens.String()
}

// filter makes the rows that are asked for of the options and of what the configuration allows.
func (o options) filter(proxy *config.Proxy) Filter {
	f := Filter{Up: o.up, NoMaint: o.noMaint, Contains: o.scope, Legends: proxy.Stats.Legends}
	for _, name := range proxy.Stats.Scope {
		if name == "." { // the proxy that the page belongs to
			name = proxy.Name
		}
		f.Proxies = append(f.Proxies, name)
	}
	return f
}
