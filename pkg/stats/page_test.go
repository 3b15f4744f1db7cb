package stats

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/sys/unix"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

func get(s *Snapshot, proxy *config.Proxy, uri string) Response {
	return NewPage(fixed{s}).Serve(proxy, Request{Method: "GET", URI: uri})
}

// document parses a page and returns all its elements.
func document(t *testing.T, r Response) []*html.Node {
	t.Helper()
	if r.Status != 200 || r.Get("content-type") != "text/html; charset=utf-8" {
		t.Fatalf("status %d, %s: %s", r.Status, r.Get("content-type"), r.Body)
	}
	root, err := html.Parse(strings.NewReader(string(r.Body)))
	if err != nil {
		t.Fatal(err)
	}
	var all []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, n)
		}
	}
	return all
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func elements(all []*html.Node, tag string) []*html.Node {
	return slices.DeleteFunc(slices.Clone(all), func(n *html.Node) bool { return n.Data != tag })
}

func byClass(all []*html.Node, class string) []*html.Node {
	return slices.DeleteFunc(slices.Clone(all), func(n *html.Node) bool {
		return !slices.Contains(strings.Fields(attr(n, "class")), class)
	})
}

func TestPageHeaders(t *testing.T) {
	r := get(swarm(), statsProxy(), "/my-stats")
	sum := sha256.Sum256([]byte(styleOf(t, r)))
	want := map[string]string{
		"cache-control":          "no-store",
		"refresh":                "15",
		"x-content-type-options": "nosniff",
		"referrer-policy":        "same-origin",
		"content-security-policy": "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	}
	for name, value := range want {
		if got := r.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	for _, h := range r.Header {
		if h[0] != strings.ToLower(h[0]) {
			t.Errorf("header %q is not in lower case", h[0])
		}
	}
}

// styleOf returns the style sheet as the browser gets it, to which the policy's hash has to apply.
func styleOf(t *testing.T, r Response) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(r.Body), "<style>")
	css, _, end := strings.Cut(rest, "</style>")
	if !ok || !end {
		t.Fatal("no style sheet")
	}
	return css
}

// TestPageNeedsNothingElse: no script, no style attribute (the policy would refuse them), no address
// outside the page.
func TestPageNeedsNothingElse(t *testing.T) {
	for _, n := range document(t, get(crowd(8), statsProxy(), "/my-stats")) {
		if slices.Contains([]string{"script", "img", "iframe", "object", "embed"}, n.Data) {
			t.Errorf("there is a %s", n.Data)
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "style", strings.HasPrefix(a.Key, "on"):
				t.Errorf("%s has the attribute %s", n.Data, a.Key)
			case a.Key == "href" && n.Data == "link":
				if !strings.HasPrefix(a.Val, "data:") {
					t.Errorf("link to %s", a.Val)
				}
			case a.Key == "href", a.Key == "src", a.Key == "action":
				if !strings.HasPrefix(a.Val, "/my-stats") && !strings.HasPrefix(a.Val, "#") {
					t.Errorf("%s to %s", n.Data, a.Val)
				}
			}
		}
	}
}

// TestPageIsAccessible: language, headings, captions, scopes, names for controls, unique anchors.
func TestPageIsAccessible(t *testing.T) {
	all := document(t, get(crowd(8), statsProxy(), "/my-stats"))
	if lang := attr(elements(all, "html")[0], "lang"); lang != "en" {
		t.Errorf("lang %q", lang)
	}
	ids := map[string]bool{}
	for _, n := range all {
		if id := attr(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("id %s is there twice", id)
			}
			ids[id] = true
		}
	}
	for _, n := range all {
		if href := attr(n, "href"); strings.HasPrefix(href, "#") && !ids[href[1:]] {
			t.Errorf("a link leads to %s, which is not there", href)
		}
		for _, name := range []string{"aria-labelledby", "for"} {
			if id := attr(n, name); id != "" && !ids[id] {
				t.Errorf("%s of %s is %q, which is not there", name, n.Data, id)
			}
		}
		if n.Data == "th" && !slices.Contains([]string{"col", "colgroup", "row"}, attr(n, "scope")) {
			t.Errorf("th %q has no scope", textOf(n))
		}
	}
	tables := elements(all, "table")
	if len(tables) != 12 {
		t.Errorf("%d tables, want 12", len(tables))
	}
	if captions := elements(all, "caption"); len(captions) != len(tables) {
		t.Errorf("%d captions for %d tables", len(captions), len(tables))
	}
	if len(elements(all, "h1")) != 1 {
		t.Error("there has to be one h1")
	}
}

// TestTablesAreRectangular: each row has as many cells as there are columns.
func TestTablesAreRectangular(t *testing.T) {
	columns := 1
	for _, g := range groups() {
		columns += len(g.Columns)
	}
	for _, tr := range elements(document(t, get(swarm(), statsProxy(), "/my-stats")), "tr") {
		n := 0
		for c := range tr.ChildNodes() {
			if c.Data == "td" || c.Data == "th" {
				span := 1
				fmt.Sscan(attr(c, "colspan"), &span)
				n += span
			}
		}
		if n != columns {
			t.Errorf("a row of %d cells, want %d: %s", n, columns, textOf(tr))
		}
	}
}

func TestPageShows(t *testing.T) {
	r := get(swarm(), statsProxy(), "/my-stats")
	all := document(t, r)
	page := textOf(elements(all, "body")[0])
	for _, want := range []string{
		"Statistics Report for pid 7 on edge-1", "waggle 0.1.0", "1d 2h03m00s", "HAProxy 3.2",
		"Queue", "Session rate", "Sessions", "Bytes", "Denied", "Errors", "Warnings", "Server",
		"Status", "LastChk", "Wght", "Act", "Bck", "Chk", "Dwn", "Dwntme", "Thrtle", "LbTot",
		"Scope", "Hide 'DOWN' servers", "Disable refresh", "Refresh now", "CSV export", "JSON export",
		"The kernel path is attached to eth0 (tcx), eth1 (tcx). No XDP on eth1 (--datapath=tc). A packet takes it 1 500 ns.", "No source port was free. Not expected.",
		"10.0.1.5:8000", "MAINT (resolution)", "L4CON in 3ms", "[fd00::4]:5432", "10 of 262 144", "*:8000",
		"docker/dns1 sent 120", "1 of 5 down", "UP 1/3",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if title := textOf(elements(all, "title")[0]); title != "edge-1 – waggle statistics" {
		t.Errorf("title %q", title)
	}
	for name, class := range map[string]string{"web-1": "t-up", "web-2": "t-falling", "web-3": "t-empty", "plain": "t-nocheck",
		"broken": "t-down", "drained": "t-drain", "shelved": "t-maint", "spare": "t-backup"} {
		if tr := row(all, name); tr == nil || !strings.Contains(attr(tr, "class"), class) {
			t.Errorf("the row of %s is not %s", name, class)
		}
	}
	for _, n := range byClass(all, "path") {
		if text := textOf(n); text == "userspace" && attr(n, "title") != "mode http is served in userspace" {
			t.Errorf("path %s because of %q", text, attr(n, "title"))
		}
	}
	if kernel := byClass(byClass(all, "path"), "kernel"); len(kernel) != 1 || attr(kernel[0], "title") != "mode tcp with a plain backend" {
		t.Errorf("%d frontends in the kernel", len(kernel))
	}
}

// row returns the table row whose name begins so.
func row(all []*html.Node, name string) *html.Node {
	for _, tr := range elements(all, "tr") {
		for c := range tr.ChildNodes() {
			if c.Data == "th" && attr(c, "scope") == "row" && strings.HasPrefix(textOf(c), name) {
				return tr
			}
		}
	}
	return nil
}

// TestStatesAreTold: whatever state a server is in, its row says so in words.
func TestStatesAreTold(t *testing.T) { synctest.Test(t, statesAreTold) }

func statesAreTold(t *testing.T) {
	s := swarm()
	leaving := pool.Resolution{By: "x", Records: []pool.Record{{Addr: netip.MustParseAddr("10.0.1.5"), Leaving: true}, {Addr: netip.MustParseAddr("10.0.1.6")}}}
	s.Proxies[1].Backend.Groups()[0].Resolve(leaving)
	all := document(t, get(s, statsProxy(), "/my-stats"))
	for name, word := range map[string]string{"web-1": "UP, leaving", "web-3": "MAINT (resolution)", "shelved": "MAINT 0s",
		"drained": "DRAIN", "broken": "DOWN", "plain": "no check"} {
		tr := row(all, name)
		var cells []string
		for c := range tr.ChildNodes() {
			if c.Data == "td" && strings.Contains(attr(c, "class"), "status") {
				cells = append(cells, textOf(c))
			}
		}
		if len(cells) != 1 || !strings.HasPrefix(cells[0], word) {
			t.Errorf("the status of %s is %q, want %q", name, cells, word)
		}
	}
}

func TestWarnings(t *testing.T) {
	s := swarm()
	if n := byClass(document(t, get(s, statsProxy(), "/my-stats")), "warnings"); len(n) != 0 {
		t.Errorf("a box of warnings without any: %s", textOf(n[0]))
	}
	s.Datapath = Datapath{Mode: "off", Degraded: []string{"CAP_BPF is missing."}}
	s.Warnings = []string{"The name web resolves to a virtual address."}
	s.Process.Config.Failed = true
	s.Process.Stopping = true
	s.Proxies[1].Backend.Groups()[0].Resolve(pool.Resolution{By: "x", Records: []pool.Record{{Addr: netip.MustParseAddr("10.0.1.1")},
		{Addr: netip.MustParseAddr("10.0.1.2")}, {Addr: netip.MustParseAddr("10.0.1.3")}, {Addr: netip.MustParseAddr("10.0.1.4")}}})
	all := document(t, get(s, statsProxy(), "/my-stats"))
	box := textOf(byClass(all, "warnings")[0])
	for _, want := range []string{"The process is stopping", "could not be loaded", "Kernel path: CAP_BPF is missing.",
		"The name web resolves to a virtual address.",
		"Backend web_service: the name web has 1 task more than its 3 slots; without traffic: 10.0.1.4."} {
		if !strings.Contains(box, want) {
			t.Errorf("the warnings do not say %q: %s", want, box)
		}
	}
	if !strings.Contains(textOf(elements(all, "body")[0]), "The kernel path is off: userspace carries all connections.") {
		t.Error("the page does not say that the kernel path is off")
	}
}

// TestConfigurationOfThePage goes through the `stats` directives.
func TestConfigurationOfThePage(t *testing.T) {
	tests := []struct {
		name      string
		change    func(*config.Stats)
		has, lack []string
		refresh   string
	}{
		{"as the seed has it", func(*config.Stats) {}, []string{"on edge-1", "10.0.1.5"}, []string{"front door"}, "15"},
		{"no node, no legends", func(c *config.Stats) { c.ShowNode, c.Legends = false, false }, nil, []string{"edge-1", "10.0.1.5", "10.0.2.2"}, "15"},
		{"node", func(c *config.Stats) { c.Node = "lb-7" }, []string{"on lb-7"}, []string{"edge-1"}, "15"},
		{"description", func(c *config.Stats) { c.ShowDesc = true }, []string{"front door"}, nil, "15"},
		{"its own description", func(c *config.Stats) { c.ShowDesc, c.Description = true, "<b>ours</b>" }, []string{"&lt;b&gt;ours"}, []string{"front door", "<b>ours"}, "15"},
		{"hidden version", func(c *config.Stats) { c.HideVersion = true }, nil, []string{"0.1.0", "99932c2", "go1.26"}, "15"},
		{"no refresh", func(c *config.Stats) { c.Refresh = 0 }, nil, []string{"http-equiv", "Disable refresh"}, ""},
		{"quick refresh", func(c *config.Stats) { c.Refresh = time.Millisecond }, []string{`http-equiv="refresh" content="1"`}, nil, "1"},
		{"scope", func(c *config.Stats) { c.Scope = []string{".", "db"} }, []string{"Statistics of backend stat", "Statistics of listen db"}, []string{"Statistics of backend web_service"}, "15"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			proxy := statsProxy()
			tt.change(proxy.Stats)
			r := get(swarm(), proxy, "/my-stats")
			if got := r.Get("refresh"); got != tt.refresh {
				t.Errorf("refresh %q, want %q", got, tt.refresh)
			}
			for _, want := range tt.has {
				if !strings.Contains(string(r.Body), want) {
					t.Errorf("the page lacks %q", want)
				}
			}
			for _, no := range tt.lack {
				if strings.Contains(string(r.Body), no) {
					t.Errorf("the page has %q", no)
				}
			}
		})
	}
}

func TestFormsForPrograms(t *testing.T) {
	for uri, want := range map[string][2]string{
		"/my-stats;csv":                      {"text/plain; charset=utf-8", "# pxname,svname,"},
		"/my-stats?;csv":                     {"text/plain; charset=utf-8", "# pxname,svname,"},
		"/my-stats;csv;norefresh":            {"text/plain; charset=utf-8", "# pxname,svname,"},
		"/my-stats?;json":                    {"application/json", `[[{"objType":"Frontend","proxyId":2,"id":0,"field":{"pos":0,`},
		"/my-stats;typed":                    {"text/plain; charset=utf-8", "F.2.0.0.pxname.1:KNS:str:"},
		"/my-stats":                          {"text/html; charset=utf-8", "<!DOCTYPE html>"},
		"http://localhost:8000/my-stats;csv": {"text/plain; charset=utf-8", "# pxname,svname,"},
	} {
		r := get(swarm(), statsProxy(), uri)
		if r.Status != 200 || r.Get("content-type") != want[0] || !strings.HasPrefix(string(r.Body), want[1]) {
			t.Errorf("%s: %d %s %.80q", uri, r.Status, r.Get("content-type"), r.Body)
		}
		if strings.Contains(uri, "json") && !json.Valid(r.Body) {
			t.Errorf("%s: not JSON", uri)
		}
		if r.Get("cache-control") != "no-store" {
			t.Errorf("%s may be cached", uri)
		}
	}
	if r := get(swarm(), statsProxy(), "/my-stats?;csv;up;scope=web"); strings.Contains(string(r.Body), "web-3") || strings.Contains(string(r.Body), "stat,") {
		t.Errorf("filters are ignored: %s", r.Body)
	}
}

func TestOtherMethods(t *testing.T) {
	p := NewPage(fixed{swarm()})
	if r := p.Serve(statsProxy(), Request{Method: "HEAD", URI: "/my-stats"}); r.Status != 200 {
		t.Errorf("HEAD: %d", r.Status)
	}
	if r := p.Serve(statsProxy(), Request{Method: "PUT", URI: "/my-stats"}); r.Status != 405 || r.Get("allow") != "GET, HEAD, POST" {
		t.Errorf("PUT: %d, allow %q", r.Status, r.Get("allow"))
	}
}

// TestNothingToShow: a filter that nothing passes, and an empty balancer.
func TestNothingToShow(t *testing.T) {
	if page := textOf(elements(document(t, get(swarm(), statsProxy(), "/my-stats?scope=%3Cnope%3E")), "main")[0]); page != "No proxy to show whose name holds “<nope>”." {
		t.Errorf("page %q", page)
	}
	document(t, get(&Snapshot{}, statsProxy(), "/my-stats"))
}

func TestIndexOfManyProxies(t *testing.T) {
	if n := byClass(document(t, get(swarm(), statsProxy(), "/my-stats")), "index"); len(n) != 0 {
		t.Error("an index of four proxies")
	}
	index := byClass(document(t, get(crowd(40), statsProxy(), "/my-stats")), "index")
	if len(index) != 1 {
		t.Fatal("no index of 44 proxies")
	}
	if text := textOf(index[0]); !strings.Contains(text, "service-21 DOWN") || !strings.Contains(text, "service-05 1 of 3 down") {
		t.Errorf("the index does not say what is down: %s", text)
	}
}

func BenchmarkPage(b *testing.B) {
	s, proxy := crowdOf(40, 20), statsProxy()
	p := NewPage(fixed{s})
	for i := range 400 { // a past to draw
		for _, b := range s.Pool.Backends {
			for _, srv := range b.Servers() {
				srv.Counters.Shard(1).Sessions.Add(uint64(i % 90))
			}
		}
		s.Pool.Tick()
	}
	var n int
	before := cpuTime(b)
	for b.Loop() {
		n = len(p.Serve(proxy, Request{Method: "GET", URI: "/my-stats", Admin: true}).Body)
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(n), "bytes")
}

// cpuTime is what the process has taken of all CPUs, the collector's work included. Unlike the time on the wall it says the
// same on a machine that does other work.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
