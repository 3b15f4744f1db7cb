package stats

import (
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"waggle/pkg/config"
)

func TestParseOptions(t *testing.T) {
	cfg := &config.Stats{URI: "/my-stats"}
	tests := []struct {
		uri  string
		want options
	}{
		{"/my-stats", options{}},
		{"/my-stats;up", options{up: true}},
		{"/my-stats?;up;no-maint;norefresh", options{up: true, noMaint: true, noRefresh: true}},
		{"/my-stats?scope=web&up=1", options{up: true, scope: "web"}},
		{"/my-stats;scope=web%20x;csv", options{format: "csv", scope: "web x"}},
		{"/my-stats?scope=" + strings.Repeat("a", 30), options{scope: strings.Repeat("a", 20)}},
		{"/my-stats?scope=%zz", options{}},
		{"/my-stats;csvx;st=DONE", options{outcome: outcomeDone}},
		{"/my-stats;json-schema", options{format: "json-schema"}},
	}
	for _, tt := range tests {
		if got := parseOptions(tt.uri, cfg); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.uri, got, tt.want)
		}
	}
}

// TestLinksComeBack: a link made of options means these options, belongs to the page, and keeps to a
// path that an ACL on the exact path lets through.
func TestLinksComeBack(t *testing.T) {
	for _, uri := range []string{"/my-stats", config.DefaultStatsURI, "/a?b=c", "/"} {
		cfg := &config.Stats{URI: uri}
		for i := range 64 {
			o := options{format: []string{"", "csv", "json", "typed"}[i%4], up: i&4 != 0, noMaint: i&8 != 0, noRefresh: i&16 != 0}
			if i&32 != 0 {
				o.scope = "a;b &?c"
			}
			link := o.link(cfg)
			if _, ok := cfg.Tokens([]byte(link)); !ok {
				t.Errorf("%q does not belong to the page %q", link, uri)
			}
			if got := parseOptions(link, cfg); got != o {
				t.Errorf("%q means %+v, want %+v", link, got, o)
			}
			path, _, _ := strings.Cut(link, "?")
			if base, _, _ := strings.Cut(uri, "?"); path != base {
				t.Errorf("%q leaves the path %q", link, base)
			}
		}
	}
}

// TestFormComesBack sends the filter's form as a browser does.
func TestFormComesBack(t *testing.T) {
	for _, uri := range []string{"/my-stats", config.DefaultStatsURI, "/a?b=c"} {
		proxy := statsProxy()
		proxy.Stats.URI = uri
		page := proxy.Stats.URI
		sep := "?"
		if strings.Contains(page, "?") {
			sep = ""
		}
		all := document(t, get(swarm(), proxy, page+sep+";up;norefresh"))
		form := elements(all, "form")[0]
		var pairs []string
		for n := range form.Descendants() {
			if n.Type == html.ElementNode && n.Data == "input" {
				v := attr(n, "value")
				if attr(n, "name") == "scope" {
					v = "db"
				}
				pairs = append(pairs, attr(n, "name")+"="+v)
			}
		}
		sent := attr(form, "action") + "?" + strings.Join(pairs, "&")
		if _, ok := proxy.Stats.Tokens([]byte(sent)); !ok {
			t.Errorf("%q does not belong to the page %q", sent, page)
		}
		if got := parseOptions(sent, proxy.Stats); got != (options{up: true, noRefresh: true, scope: "db"}) {
			t.Errorf("%q means %+v", sent, got)
		}
	}
}

func TestAuth(t *testing.T) {
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	tests := []struct {
		name, header string
		want         int
	}{
		{"nothing", "", 401},
		{"right", basic("admin:s3cret"), 200},
		{"right, the second user", basic("guest:a:b"), 200},
		{"scheme in lower case", "basic " + basic("guest:a:b")[6:], 200},
		{"wrong password", basic("admin:x"), 401},
		{"password of another", basic("admin:a:b"), 401},
		{"beginning of the right one", basic("admin:s3cre"), 401},
		{"other scheme", "Bearer " + basic("admin:s3cret")[6:], 401},
		{"not base64", "Basic %%%", 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			proxy := statsProxy()
			proxy.Stats.Auth = []string{"admin:s3cret", "guest:a:b"}
			for _, method := range []string{"GET", "POST"} {
				r := NewPage(fixed{swarm()}).Serve(proxy, Request{Method: method, URI: "/my-stats;csv", Header: func(name string) string {
					if name == "authorization" {
						return tt.header
					}
					return ""
				}})
				want := tt.want
				if want == 200 && method == "POST" {
					want = 303 // a form, which nobody may send here
				}
				if r.Status != want {
					t.Errorf("%s: status %d, want %d", method, r.Status, want)
				}
				if r.Status == 401 && (r.Get("www-authenticate") != `Basic realm="HAProxy Statistics"` || strings.Contains(string(r.Body), "pxname")) {
					t.Errorf("answer %q, %s", r.Get("www-authenticate"), r.Body)
				}
			}
		})
	}
	if got := unauthorized(&config.Stats{Realm: `say "hi"`}); got.Get("www-authenticate") != `Basic realm="say \"hi\""` {
		t.Errorf("realm %s", got.Get("www-authenticate"))
	}
}
