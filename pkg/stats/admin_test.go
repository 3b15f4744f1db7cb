package stats

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"waggle/pkg/pool"
)

// submit sends a form to the page of swarm, as the browser that shows it does.
func submit(t *testing.T, s *Snapshot, body string, change func(map[string]string, *Request)) (location string) {
	t.Helper()
	header := map[string]string{"host": "lb.example:8000", "origin": "http://lb.example:8000", "content-length": strconv.Itoa(len(body))}
	req := Request{Method: "POST", URI: "/my-stats", Body: []byte(body), Admin: true, Header: func(name string) string { return header[name] }}
	if change != nil {
		change(header, &req)
	}
	page := NewPage(fixed{s})
	page.Shutdown = func(s *pool.Server) error {
		if s.Name == "shelved" {
			return errors.New("refused")
		}
		s.Sessions.Add(-s.Sessions.User())
		return nil
	}
	r := page.Serve(statsProxy(), req)
	if r.Status != 303 || len(r.Body) != 0 {
		t.Errorf("%s: status %d, %q", body, r.Status, r.Body)
	}
	return r.Get("location")
}

func serverOf(t *testing.T, s *Snapshot, name string) *pool.Server {
	t.Helper()
	for _, p := range s.Proxies {
		if p.Backend == nil {
			continue
		}
		if i := slices.IndexFunc(p.Backend.Servers(), func(s *pool.Server) bool { return s.Name == name }); i >= 0 {
			return p.Backend.Servers()[i]
		}
	}
	t.Fatalf("no server %s", name)
	return nil
}

// TestActions does all that the form offers to a server of the section db, which has number 4.
func TestActions(t *testing.T) {
	for _, tt := range []struct{ action, server, outcome, status string }{
		{"maint", "plain", "DONE", "MAINT"},
		{"drain", "plain", "DONE", "DRAIN"},
		{"ready", "drained", "DONE", "no check"},
		{"ready", "shelved", "DONE", "no check"},
		{"dhlth", "spare", "DONE", "no check"},
		{"ehlth", "spare", "DONE", "UP"},
		{"dhlth", "plain", "NONE", "no check"},
		{"hrunn", "broken", "DONE", "UP"},
		{"hnolb", "plain", "DONE", "NOLB"},
		{"hdown", "plain", "DONE", "DOWN"},
		{"dagent", "plain", "NONE", "no check"},
		{"eagent", "plain", "NONE", "no check"},
		{"arunn", "plain", "NONE", "no check"},
		{"adown", "plain", "NONE", "no check"},
		{"shutdown", "plain", "DONE", "no check"},
		{"shutdown", "shelved", "NONE", "MAINT"},
	} {
		s := swarm()
		id := strconv.Itoa(s.Pool.Backend("db").ID)
		if got, want := submit(t, s, "s="+tt.server+"&action="+tt.action+"&b=%23"+id, nil), "/my-stats?;st="+tt.outcome; got != want {
			t.Errorf("%s %s: %s, want %s", tt.action, tt.server, got, want)
		}
		srv := serverOf(t, s, tt.server)
		if got := srv.View().Status; got != tt.status {
			t.Errorf("%s %s: %s, want %s", tt.action, tt.server, got, tt.status)
		}
		if tt.action == "shutdown" && tt.outcome == "DONE" && srv.Sessions.User() != 0 {
			t.Error("the sessions are still there")
		}
	}
}

// TestOutcomes are those of HAProxy 2.6 for the same forms.
func TestOutcomes(t *testing.T) {
	long := strings.Repeat("s=plain&", 9)
	for _, tt := range []struct {
		body, outcome string
		change        func(map[string]string, *Request)
	}{
		{"s=plain&action=ready&b=db", "DONE", nil},
		{"b=db&action=maint&s=plain&s=broken", "DONE", nil},
		{"s=plain&s=nope&action=ready&b=db", "PART", nil},
		{"s=nope&action=ready&b=db", "ERRP", nil},
		{"s=plain&action=foo&b=db", "ERRP", nil},
		{"s=plain&action=&b=db", "ERRP", nil},
		{"s=plain&action=ready&b=nope", "ERRP", nil},
		{"s=plain&action=ready&b=%23db", "ERRP", nil},
		{"s=plain&action=ready&b=%2399", "ERRP", nil},
		{"s=%zz&action=ready&b=db", "ERRP", nil},
		{"action=ready&b=db", "NONE", nil},
		{"s=plain&action=ready", "NONE", nil},
		{"foo", "NONE", nil},
		{"", "NONE", nil},
		{"s=plain&action=ready&b=db&x=y", "DONE", nil},
		{long, "EXCD", func(h map[string]string, r *Request) { r.Body = r.Body[:20] }},
		{"s=plain&action=maint&b=db", "DENY", func(_ map[string]string, r *Request) { r.Admin = false }},
	} {
		if got, want := submit(t, swarm(), tt.body, tt.change), "/my-stats?;st="+tt.outcome; got != want {
			t.Errorf("%.60s: %s, want %s", tt.body, got, want)
		}
	}
}

// TestFormsOfOtherSites: nobody else's page can have a visitor's browser change servers.
func TestFormsOfOtherSites(t *testing.T) {
	for name, tt := range map[string]struct {
		header map[string]string
		taken  bool
	}{
		"our page":                       {map[string]string{"origin": "http://lb.example:8000"}, true},
		"our page, fetch metadata":       {map[string]string{"origin": "http://lb.example:8000", "sec-fetch-site": "same-origin"}, true},
		"our page, old browser":          {map[string]string{"origin": "", "referer": "http://lb.example:8000/my-stats?;up"}, true},
		"our page behind TLS":            {map[string]string{"origin": "https://LB.example:8000"}, true},
		"a program":                      {map[string]string{"origin": ""}, true},
		"another site":                   {map[string]string{"origin": "https://evil.example"}, false},
		"another port":                   {map[string]string{"origin": "http://lb.example:9000"}, false},
		"another site, fetch metadata":   {map[string]string{"origin": "", "sec-fetch-site": "cross-site"}, false},
		"same site, fetch metadata":      {map[string]string{"sec-fetch-site": "same-site"}, false},
		"another site, old browser":      {map[string]string{"origin": "", "referer": "http://evil.example/"}, false},
		"a page without an origin":       {map[string]string{"origin": "null"}, false},
		"a host that begins like ours":   {map[string]string{"origin": "http://lb.example:8000.evil.example"}, false},
		"no host to compare with":        {map[string]string{"host": ""}, false},
		"another site that hides itself": {map[string]string{"origin": "null", "referer": "http://lb.example:8000/"}, false},
	} {
		s := swarm()
		got := submit(t, s, "s=plain&action=maint&b=db", func(h map[string]string, _ *Request) {
			for k, v := range tt.header {
				h[k] = v
			}
		})
		want := "/my-stats?;st=DENY"
		if tt.taken {
			want = "/my-stats?;st=DONE"
		}
		if got != want || serverOf(t, s, "plain").View().Admin.Maint() != tt.taken {
			t.Errorf("%s: %s, want %s; the server is %s", name, got, want, serverOf(t, s, "plain").View().Status)
		}
	}
}

// TestFormKeepsTheView: what was hidden stays hidden after a form.
func TestFormKeepsTheView(t *testing.T) {
	got := submit(t, swarm(), "", func(_ map[string]string, r *Request) { r.URI = "/my-stats?;st=DONE;up;norefresh;scope=d%62;csv" })
	if want := "/my-stats?;st=NONE;up;norefresh;scope=db"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestScopeHoldsForForms: what the page does not show, it does not change.
func TestScopeHoldsForForms(t *testing.T) {
	s, proxy := swarm(), statsProxy()
	proxy.Stats.Scope = []string{"."}
	r := NewPage(fixed{s}).Serve(proxy, Request{Method: "POST", URI: "/my-stats", Admin: true, Body: []byte("s=plain&action=maint&b=db")})
	if got := r.Get("location"); got != "/my-stats?;st=ERRP" || serverOf(t, s, "plain").View().Admin.Maint() {
		t.Errorf("%s", got)
	}
}

func TestFormOnThePage(t *testing.T) {
	get := func(admin bool, uri string) Response {
		return NewPage(fixed{swarm()}).Serve(statsProxy(), Request{Method: "GET", URI: uri, Admin: admin})
	}
	count := func(r Response) (forms, boxes int) {
		for _, n := range document(t, r) {
			switch {
			case n.Data == "form" && attr(n, "method") == "post":
				forms++
				if attr(n, "action") != "/my-stats?;up" {
					t.Errorf("the form is sent to %q", attr(n, "action"))
				}
			case attr(n, "type") == "checkbox":
				boxes++
				if attr(n, "aria-label") == "" || attr(n, "name") != "s" || attr(n, "value") == "" {
					t.Errorf("a box without a name or value: %+v", n.Attr)
				}
			}
		}
		return forms, boxes
	}
	if forms, boxes := count(get(false, "/my-stats?;up;st=DONE")); forms != 0 || boxes != 0 {
		t.Errorf("%d forms and %d boxes where nothing may be changed", forms, boxes)
	}
	r := get(true, "/my-stats?;up;st=PART")
	shown := 0
	for _, row := range Rows(swarm(), Filter{Up: true, Scopes: Servers}) {
		_ = row
		shown++
	}
	if forms, boxes := count(r); forms != 2 || boxes != shown {
		t.Errorf("%d forms and %d boxes, want 2 and %d", forms, boxes, shown)
	}
	if status := byClass(document(t, r), "outcome"); len(status) != 1 || attr(status[0], "role") != "status" || !strings.Contains(textOf(status[0]), "Done in part") {
		t.Error("the outcome is not told")
	}
	for _, word := range []string{"DONE", "NONE", "PART", "ERRP", "EXCD", "DENY", "UNKN", "<b>"} {
		if status := byClass(document(t, get(true, "/my-stats?;st="+word)), "outcome"); len(status) != 1 {
			t.Errorf("the outcome %s is not told", word)
		}
	}
	if r := get(false, "/my-stats?;json-schema"); r.Get("content-type") != "application/json" || !strings.HasPrefix(string(r.Body), `{"$schema"`) {
		t.Errorf("schema: %s, %.40s", r.Get("content-type"), r.Body)
	}
}
