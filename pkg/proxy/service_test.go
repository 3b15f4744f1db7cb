package proxy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"waggle/pkg/config"
)

// statsWorld has the seed's shape: a backend without servers that has the stats page.
func statsWorld(t *testing.T, page func(*config.Proxy, ServiceRequest) ServiceResponse) *world {
	return start(t, []netip.AddrPort{named(t, "a")}, func(s *Setup, fe, _ *config.Proxy) {
		fe.UseBackend = []config.UseBackend{{Backend: "stat", Cond: condition(t, "if { path -i /my-stats }")}}
		s.Config.Proxies = append(s.Config.Proxies,
			&config.Proxy{Kind: config.Backend, Name: "stat", HTTP: true, Stats: &config.Stats{URI: "/my-stats"}})
		s.Page = page
		s.Exporter = func(ServiceRequest) ServiceResponse { return ServiceResponse{Status: 200, Body: []byte("m 1\n")} }
		fe.HTTPRequest = []config.HTTPRule{{Action: config.ActionPrometheus, Cond: condition(t, "if { path /metrics }")}}
	})
}

func TestStatsPage(t *testing.T) {
	w := statsWorld(t, func(p *config.Proxy, r ServiceRequest) ServiceResponse {
		text := fmt.Sprintf("%s %s %s %s %s", p.Name, r.Method, r.URI, r.Header("x-a"), r.Body)
		return ServiceResponse{Status: 200, Header: [][2]string{{"Content-Type", "text/plain"}, {"refresh", "15"}}, Body: []byte(text)}
	})
	c := w.dial()
	c.send("GET /my-stats?;csv HTTP/1.1\r\nHost: t\r\nX-A: 1\r\n\r\n")
	resp, body := c.response("GET")
	if body != "stat GET /my-stats?;csv 1 " || resp.Header.Get("Refresh") != "15" || resp.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("%q %v", body, resp.Header)
	}
	c.send("GET http://t/my-stats?;csv HTTP/1.1\r\nHost: t\r\n\r\n") // absolute, as clients of proxies send it
	if _, body := c.response("GET"); body != "stat GET http://t/my-stats?;csv  " {
		t.Errorf("%q", body)
	}
	c.send("POST /my-stats HTTP/1.1\r\nHost: t\r\nContent-Length: 7\r\n\r\ns=a")
	c.send("&b=1")
	if _, body := c.response("POST"); body != "stat POST /my-stats  s=a&b=1" {
		t.Errorf("%q", body)
	}
	// The ACL compares without case, the prefix with: as HAProxy, no server is left to ask.
	if status, _ := c.get("/MY-STATS"); status != 503 {
		t.Errorf("status %d", status)
	}
	if _, body := c.get("/metrics"); body != "m 1\n" {
		t.Errorf("%q", body)
	}
	if status, body := c.get("/other"); status != 200 || body != "a GET /other 0" {
		t.Errorf("%d %q", status, body)
	}
}

func TestLargePageToSlowReader(t *testing.T) {
	page := pattern(large)
	w := statsWorld(t, func(*config.Proxy, ServiceRequest) ServiceResponse { return ServiceResponse{Status: 200, Body: page} })
	c := w.dial()
	_, got := c.get("/my-stats")
	sameBytes(t, []byte(got), page)
}

// TestFaultyPage: a page that cannot be made takes nobody else with it.
func TestFaultyPage(t *testing.T) {
	w := statsWorld(t, func(*config.Proxy, ServiceRequest) ServiceResponse { panic("fault") })
	c := w.dial()
	if status, _ := c.get("/my-stats"); status != 500 {
		t.Errorf("status %d", status)
	}
	if status, _ := c.get("/"); status != 200 {
		t.Errorf("status %d", status)
	}
}

// TestSlowPageStallsNobody: while a page is made, others are served by the same loop.
func TestSlowPageStallsNobody(t *testing.T) {
	begun, proceed := make(chan struct{}), make(chan struct{})
	w := statsWorld(t, func(*config.Proxy, ServiceRequest) ServiceResponse {
		close(begun)
		<-proceed
		return ServiceResponse{Status: 200, Body: []byte("late")}
	})
	slow, other := w.dial(), w.dial()
	slow.send("GET /my-stats HTTP/1.1\r\nHost: t\r\n\r\n")
	<-begun
	if status, _ := other.get("/"); status != 200 {
		t.Errorf("status %d", status)
	}
	close(proceed)
	if _, body := slow.response("GET"); !strings.HasSuffix(body, "late") {
		t.Errorf("%q", body)
	}
}
