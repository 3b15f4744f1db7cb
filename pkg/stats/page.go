package stats

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"strconv"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

//go:embed page.css
var pageStyle string

//go:embed page.html.tmpl
var pageTemplate string

// Page answers requests for the statistics page of HAProxy and its forms for programs. It is safe for
// concurrent use.
type Page struct {
	// Shutdown ends the sessions of a server, on an operator's word; nil: the page cannot. Set it before the
	// first request.
	Shutdown func(*pool.Server) error

	src      Source
	template *template.Template
	policy   string
}

// NewPage returns a page that shows src.
func NewPage(src Source) *Page {
	sum := sha256.Sum256([]byte(pageStyle))
	return &Page{
		src: src,
		template: template.Must(template.New("page").Funcs(template.FuncMap{
			"style": func() template.CSS { return template.CSS(pageStyle) }, //nolint:gosec // ours, not a visitor's
		}).Parse(pageTemplate)),
		// The page has no script, no outside asset, and one style sheet, which is known by its hash.
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src data:; " +
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	}
}

// Serve answers a request for the page of a proxy with a `stats` line, one for which [Match] holds.
// Tokens in the request target choose form and rows: `;csv`, `;json`, `;json-schema`, `;typed`, `;up`,
// `;no-maint`, `;norefresh` and `scope=` (HAProxy's configuration manual, `stats uri`). A POST is a form
// of the page, which acts on servers.
func (p *Page) Serve(proxy *config.Proxy, req Request) Response {
	if !authorized(proxy.Stats, &req) {
		return unauthorized(proxy.Stats)
	}
	switch {
	case req.Method == "POST":
		return p.post(proxy, &req)
	case !readable(req.Method):
		return methodNotAllowed("GET, HEAD, POST")
	}
	o := parseOptions(req.URI, proxy.Stats)
	if o.format == "json-schema" {
		return reply(200, jsonText, Schema())
	}
	s := p.src.Snapshot()
	switch o.format {
	case "csv":
		return reply(200, plainText, Proxies(s, Plain, o.filter(proxy)))
	case "typed":
		return reply(200, plainText, Proxies(s, Typed, o.filter(proxy)))
	case "json":
		return reply(200, jsonText, Proxies(s, JSON, o.filter(proxy)))
	default:
		return p.html(proxy, s, o, req.Admin)
	}
}

func (p *Page) html(proxy *config.Proxy, s *Snapshot, o options, admin bool) Response {
	view := newView(proxy, s, o)
	if admin {
		view.Actions = actions()
		view.Choices = choices(view.Actions)
	}
	var b bytes.Buffer
	size := len(pageStyle) + 32<<10
	for _, pv := range view.Proxies {
		size += len(pv.Rows) * rowSize
	}
	b.Grow(size)
	if err := p.template.Execute(&b, view); err != nil {
		return reply(500, plainText, []byte("render the statistics page: "+err.Error()+"\n"))
	}
	r := reply(200, htmlText, b.Bytes())
	r.set("content-security-policy", p.policy)
	r.set("referrer-policy", "same-origin") // without it browsers do not tell where our own forms come from
	if view.Refresh > 0 {
		r.set("refresh", strconv.Itoa(view.Refresh))
	}
	return r
}

// refreshSeconds is how often the page loads itself again; 0 is never.
func refreshSeconds(cfg *config.Stats, o options) int {
	if o.noRefresh || cfg.Refresh <= 0 {
		return 0
	}
	return int(max(1, cfg.Refresh/time.Second))
}
