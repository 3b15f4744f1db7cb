package agent_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/haproxy"
	"waggle/pkg/lab/labtest"
)

// patternsGolden is for maps and ACLs what golden is for servers.
const patternsGolden = "testdata/patterns.golden"

const patternsConfig = `global
  stats socket %[1]s/s level operator
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend f
  bind 127.0.0.1:%[2]d
  acl net src -f %[1]s/nets.lst
  acl p path -f %[1]s/paths.lst
  acl p2 path_beg -f %[1]s/paths.lst /inline /inline2
  acl pm path -M -f %[1]s/m.map
  acl q hdr(x) -u 1234 abc def
  acl q2 hdr(x) -i -f %[1]s/paths.lst
  acl n hdr_cnt(x) ge 3 lt 9
  acl n2 hdr_val(x) 1:3 7
  acl b path -m found
  acl r path_reg -i ^/x/.* ^/y
  acl d hdr_dom(host) -i -- Foo.com
  http-request set-map(%[1]s/m.map) %%[path] %%[hdr(v)] if { path_beg /set/ }
  http-request return status 200 hdr x-map %%[path,map(%[1]s/m.map,none)] hdr x-beg %%[path,map_beg(%[1]s/m.map,none)] hdr x-int %%[path,map_str_int(%[1]s/i.map,0)] hdr x-ip %%[src,map_ip(%[1]s/ip.map)]
`

// writePatterns writes that configuration, and its files, into a directory.
func writePatterns(t *testing.T) (dir, file string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pat") // short, and of the same length always
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for name, text := range map[string]string{
		"nets.lst":    "# comment\n10.0.0.0/8\n192.168.1.1\n",
		"paths.lst":   "/a\n/b\n\n/c d\n",
		"m.map":       "# c\nk1   v1\nk2 v2 with spaces  \nk1 dup\nnovalue\n",
		"i.map":       "a 1\nb 2\n",
		"ip.map":      "10.0.0.0/8 big\n10.1.0.0/16 small\n",
		"haproxy.cfg": fmt.Sprintf(patternsConfig, dir, labtest.FreeAddr(t).Port()),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, filepath.Join(dir, "haproxy.cfg")
}

// patternRecord gives each recorded command to the process in dir, with DIR for its name and N for what identifies entries and counts them.
func patternRecord(t *testing.T, dir string) string {
	t.Helper()
	recorded, err := os.ReadFile(patternsGolden)
	if err != nil {
		t.Fatal(err)
	}
	local := filepath.Join(dir, "golden")
	if err := os.WriteFile(local, []byte(strings.ReplaceAll(string(recorded), "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	out := strings.ReplaceAll(exchangeAll(t, local, filepath.Join(dir, "s")), dir, "DIR")
	out = regexp.MustCompile(`(?m)^\|0x[0-9a-f]+ `).ReplaceAllString(out, "|0xN ")
	out = regexp.MustCompile(`(?m)^.* file 'httpclient' .*\n`).ReplaceAllString(out, "") // HAProxy's own
	return regexp.MustCompile(`entry_cnt=\d+`).ReplaceAllString(out, "entry_cnt=N")      // wrong in 2.6 after changes
}

func TestPatternCommandsAnswer(t *testing.T) {
	dir, file := writePatterns(t)
	startWaggle(t, file)
	waitForSocket(t, filepath.Join(dir, "s"))
	compareRecords(t, patternsGolden, patternRecord(t, dir))
}

func TestPatternCommandsOfHAProxy(t *testing.T) {
	dir, file := writePatterns(t)
	haproxy.StartFile(t, file, haproxy.Options{})
	waitForSocket(t, filepath.Join(dir, "s"))
	record := patternRecord(t, dir)
	if *update {
		if err := os.WriteFile(patternsGolden, []byte(record), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	compareRecords(t, patternsGolden, record)
}

// A reload reads the files again, and what was changed since is lost, as with HAProxy.
func TestReloadReadsPatternsAgain(t *testing.T) {
	dir, file := writePatterns(t)
	startReloadable(t, file)
	socket, name := filepath.Join(dir, "s"), filepath.Join(dir, "m.map")
	waitForSocket(t, socket)
	runtimeCommand(t, socket, "add map "+name+" runtime value\n")
	look := func(key string) string { return runtimeCommand(t, socket, "get map "+name+" "+key+"\n") }
	if !strings.Contains(look("runtime"), `value="value"`) {
		t.Fatal("the change had no effect")
	}
	if err := os.WriteFile(name, []byte("fromfile yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	reload(t, socket, file, file)
	if got := look("runtime"); strings.Contains(got, "found=yes") {
		t.Errorf("the change outlived the reload: %s", got)
	}
	if got := look("fromfile"); !strings.Contains(got, `value="yes"`) {
		t.Errorf("the file was not read again: %s", got)
	}
}

// Keys and values come in lines behind a command, and what is not whole is not done.
func TestPayloadOfMaps(t *testing.T) {
	dir, file := writePatterns(t)
	startWaggle(t, file)
	socket, name := filepath.Join(dir, "s"), filepath.Join(dir, "m.map")
	waitForSocket(t, socket)
	runtimeCommand(t, socket, "prepare map "+name+"\n")
	for _, test := range []struct{ send, want string }{
		{"add map @1 " + name + " <<\na 1\n  b   2 3 \n\n", "\n"},
		{"show map; add map @1 " + name + " <<END\nc 4\n\nd 5\nEND\n", "\n\n"},
		{"add map @1 " + name + " <<\nlost 1\n", ""},
		{"add map @1 " + name + " <<\n" + strings.Repeat("x y\n", 300_000) + "\n", "The command line is too long.\n\n"},
		{"show map @1 " + name + "\n", " d 5\n\n"},
	} {
		got := runtimeCommandHalfClosed(t, socket, test.send)
		if !strings.HasSuffix(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%.60q: answered %q, want %q", test.send, got, test.want)
		}
	}
	all := regexp.MustCompile(`(?m)^0x[0-9a-f]+ `).ReplaceAllString(runtimeCommand(t, socket, "show map @1 "+name+"\n"), "")
	if all != "a 1\nb 2 3\nc 4\nd 5\n\n" {
		t.Errorf("the version holds %q", all)
	}
}

// runtimeCommandHalfClosed says that no more comes, as socat does.
func runtimeCommandHalfClosed(t *testing.T, socket, command string) string {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = conn.Write([]byte(command)) // it may be refused half-way
	_ = conn.(*net.UnixConn).CloseWrite()
	out, _ := io.ReadAll(conn)
	return string(out)
}
