package agent

import (
	"waggle/pkg/config"
	"waggle/pkg/proxy"
	"waggle/pkg/stats"
)

// servePage answers for the stats page of a proxy.
func (a *Agent) servePage(p *config.Proxy, r proxy.ServiceRequest) proxy.ServiceResponse {
	return proxy.ServiceResponse(a.page.Serve(p, stats.Request{Method: r.Method, URI: r.URI, Header: r.Header, Body: r.Body, Admin: r.Admin}))
}

// serveExporter answers for `use-service prometheus-exporter`.
func (a *Agent) serveExporter(r proxy.ServiceRequest) proxy.ServiceResponse {
	return proxy.ServiceResponse(a.exporter.Serve(stats.Request{Method: r.Method, URI: r.URI, Header: r.Header}))
}
