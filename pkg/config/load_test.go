package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/message"
)

func TestLoadReadsDirectoriesInOrder(t *testing.T) {
	files := map[string]string{
		"conf/20-backends.cfg": "backend two\n",
		"conf/10-base.cfg":     "global\n node n\nbackend one\n",
		"conf/.hidden.cfg":     "nonsense\n",
		"conf/readme.txt":      "nonsense\n",
		"last.cfg":             "backend three\n",
	}
	cfg, _, err := Load([]string{"conf", "last.cfg"}, pure(files))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range cfg.Proxies {
		names = append(names, p.Name+"@"+p.Pos.String())
	}
	if got := strings.Join(names, " "); got != "one@conf/10-base.cfg:3 two@conf/20-backends.cfg:1 three@last.cfg:1" {
		t.Errorf("proxies %s", got)
	}
}

func TestLoadReportsEveryUnreadableFile(t *testing.T) {
	_, _, err := Load([]string{"gone.cfg", "away.cfg"}, pure(nil))
	var bad *Errors
	if !errors.As(err, &bad) || len(bad.List) != 2 {
		t.Fatalf("%v", err)
	}
	if got := bad.List[1].Format(7); got != "[ALERT]    (7) : config : [away.cfg] : cannot read: no such file" {
		t.Errorf("%s", got)
	}
	message.Shown(t, bad.List[1].Text)
}

func TestLoadFromTheFileSystem(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"b.cfg": "backend b\n", "a.cfg": "backend a\n", "x.bak": "nonsense\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, _, err := Load([]string{dir}, LoadOptions{})
	if err != nil || len(cfg.Proxies) != 2 || cfg.Proxies[0].Name != "a" {
		t.Fatalf("%+v %v", cfg, err)
	}
	if _, _, err := Load([]string{filepath.Join(dir, "none.cfg")}, LoadOptions{}); err == nil {
		t.Error("a file that does not exist was read")
	}
}

// A section ends with its file, and defaults reach into the files that follow.
func TestSectionsAndFiles(t *testing.T) {
	cfg, _, err := ParseFiles([]File{{"a", []byte("defaults\n retries 7\n")}, {"b", []byte("backend b\n")}}, pure(nil))
	if err != nil || cfg.Proxies[0].Retries != 7 {
		t.Fatalf("%v", err)
	}
	if _, _, err := ParseFiles([]File{{"a", []byte("global\n")}, {"b", []byte(" maxconn 3\n")}}, pure(nil)); err == nil {
		t.Error("a line of the second file went into the section of the first")
	}
}

func TestVariablesOfTheConfiguration(t *testing.T) {
	cfg, _ := mustParse(t, `global
 setenv A one
 presetenv A two
 presetenv PORT 9
 node "${A}-${PORT}"
 unsetenv PORT
 description "${PORT-unset}"
 setenv B kept
 resetenv B
 log-tag "${A-gone} ${B}"
`)
	if g := cfg.Global; g.Node != "one-8000" || g.Description != "unset" || g.LogTag != "gone kept" {
		t.Errorf("node %q, description %q, tag %q", g.Node, g.Description, g.LogTag)
	}
}

func TestDefaults(t *testing.T) {
	cfg, _ := mustParse(t, `defaults
 timeout connect 1s
 log global
 default-server weight 5
backend first
 no log
 server s 1.1.1.1:1
 default-server weight 6 check
 server t 1.1.1.1:2
defaults
 timeout connect 2s
defaults named
 timeout connect 3s
 option httpchk GET /x
backend second
 server s 1.1.1.1:1
backend third from named
 http-check expect status 200
backend fourth from named
`)
	first, second, third, fourth := cfg.Proxies[0], cfg.Proxies[1], cfg.Proxies[2], cfg.Proxies[3]
	if first.Timeouts.Connect != time.Second || len(first.Logs) != 0 || first.Servers[0].Weight != 5 || first.Servers[0].Check.Enabled {
		t.Errorf("first: %+v", first)
	}
	if s := first.Servers[1]; s.Weight != 6 || !s.Check.Enabled {
		t.Errorf("default-server of the backend itself: %+v", s)
	}
	if second.Timeouts.Connect != 3*time.Second || second.Servers[0].Weight != 1 || second.Check.Steps[0].Send.URI != "/x" {
		t.Errorf("the last defaults section must apply, named or not: %+v", second)
	}
	if third.Timeouts.Connect != 3*time.Second || third.Check.Steps[0].Send.URI != "/x" || third.Check.Steps[1].Expect.Statuses[0].High != 200 {
		t.Errorf("third: %+v", third.Check)
	}
	if fourth.Check.Steps[0].Send.URI != "/x" || fourth.Check.Steps[1].Expect.Statuses[0].High != 399 {
		t.Error("what one proxy says has reached another through their defaults")
	}
}

func TestOptionsCanBeTakenBack(t *testing.T) {
	cfg, _ := mustParse(t, `defaults
 option http-server-close
 option redispatch
 option tcpka
 option forwardfor
 option dontlognull
 option httpchk
 mode http
listen l
 bind :1
 timeout client 1s
 no option http-server-close
 no option redispatch
 no option tcpka
 default option dontlognull
 no option forwardfor
 option tcp-check
`)
	o := cfg.Proxies[0].Options
	if o.ConnectionMode != KeepAlive || o.Redispatch || o.TCPKAClient || o.TCPKAServer || o.ForwardFor != nil || o.DontLogNull || cfg.Proxies[0].Check.Protocol != CheckTCP || len(cfg.Proxies[0].Check.Steps) != 0 {
		t.Errorf("%+v", o)
	}
}

// What a frontend inherits for backends, and the other way round, does not stay.
func TestInheritedForTheOtherSide(t *testing.T) {
	cfg, _ := mustParse(t, "backend z\ndefaults\n maxconn 9\n fullconn 8\n default_backend z\nbackend b\nfrontend f\n bind :1\n timeout client 1s\n")
	b, f := cfg.Proxies[1], cfg.Proxies[2]
	if b.MaxConn != 0 || b.DefaultBackend != "" || b.FullConn != 8 || f.MaxConn != 9 || f.FullConn != 0 || f.DefaultBackend != "z" {
		t.Errorf("%+v\n%+v", b, f)
	}
}

func TestConditionsAndRulesTogether(t *testing.T) {
	cfg, _ := mustParse(t, `frontend f
 mode http
 bind :1
 timeout client 1s
 acl a path_beg /a
 redirect location /there if a
 http-request deny if { path /b } || { path /c }
 acl a path /z
 http-request allow unless a
`)
	rules := cfg.Proxies[0].HTTPRequest
	if len(rules) != 3 || rules[0].Action != ActionDeny || rules[2].Action != ActionRedirect {
		t.Fatalf("redirects come after http-request rules: %+v", rules)
	}
	redirect := rules[2].Cond
	for uri, want := range map[string]bool{"/a/b": true, "/z": true, "/b": false} {
		if redirect.Eval(getRequest{uri: uri}) != want {
			t.Errorf("redirect of %s: %v", uri, !want)
		}
	}
}

// What a common file says beside `balance source` and for checks by programs is no reason to stop a check that is strict.
func TestHarmlessSettingsWarnOfNothing(t *testing.T) {
	head := "defaults\n timeout connect 1s\n timeout server 1s\nbackend b\n server s 1.1.1.1:1\n balance source\n "
	for lines, want := range map[string]string{
		"hash-type consistent":                           "",
		"hash-type consistent\n hash-balance-factor 150": "'hash-balance-factor' does not apply to 'balance source' of backend 'b'",
		"hash-type consistent\nglobal\n external-check":  "",
	} {
		_, remarks := mustParse(t, head+lines+"\n")
		var warnings []string
		for _, d := range remarks {
			if d.Severity == Warning {
				warnings = append(warnings, d.Text)
			}
		}
		if got := strings.Join(warnings, "; "); got != want {
			t.Errorf("%q: %q, want %q", lines, got, want)
		}
	}
}
