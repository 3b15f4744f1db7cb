package stats

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/lab/require"
)

// browser is a headless Chromium that speaks the DevTools protocol over a pair of pipes: messages are JSON
// and end with a zero byte.
type browser struct {
	t       *testing.T
	in      io.Writer
	out     *bufio.Reader
	session string // of the page
	id      int
	faults  []string // what the browser has complained about: errors of the console, of the policy, of the network
	there   string   // the document that the test knows to be loaded
	loaded  string   // the last one that is
}

// message is one message of the protocol, either way.
type message struct {
	ID        int                       `json:"id,omitempty"`
	Method    string                    `json:"method,omitempty"`
	Params    json.RawMessage           `json:"params,omitempty"`
	Result    json.RawMessage           `json:"result,omitempty"`
	SessionID string                    `json:"sessionId,omitempty"`
	Error     *struct{ Message string } `json:"error,omitempty"`
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	program := require.Tool(t, "chromium")
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "profile") // processes that outlive the browser's first may write into it still
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--host-resolver-rules=MAP evil.example 127.0.0.1",
		"--allow-pre-commit-input", // or what is clicked before the page is painted is lost
		"--user-data-dir="+profile, "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, as the protocol has it
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	out.SetReadDeadline(time.Now().Add(4 * time.Minute)) // a picture of 800 rows takes long on a machine that is busy
	b := &browser{t: t, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		b.session = ""
		b.send("Browser.close", nil)
		in.Close()
		out.Close()
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		for range 100 {
			if os.RemoveAll(profile) == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.call(domain+".enable", nil, nil)
	}
	b.call("Page.setLifecycleEventsEnabled", map[string]any{"enabled": true}, nil)
	return b
}

func (b *browser) send(method string, params any) int {
	b.id++
	p, err := json.Marshal(params)
	if err != nil {
		b.t.Fatal(err)
	}
	m, err := json.Marshal(message{ID: b.id, Method: method, Params: p, SessionID: b.session})
	if err != nil {
		b.t.Fatal(err)
	}
	_, _ = b.in.Write(append(m, 0))
	return b.id
}

// call sends a command and waits for its result; events that come before it are noted.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	if params == nil {
		params = struct{}{}
	}
	for id := b.send(method, params); ; {
		m := b.receive()
		if m.ID != id {
			continue
		}
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
		return
	}
}

func (b *browser) receive() message {
	b.t.Helper()
	raw, err := b.out.ReadBytes(0)
	if err != nil {
		b.t.Fatalf("the browser says no more: %v", err)
	}
	var m message
	if err := json.Unmarshal(raw[:len(raw)-1], &m); err != nil {
		b.t.Fatal(err)
	}
	switch m.Method {
	case "Page.lifecycleEvent":
		var event struct{ LoaderID, Name string }
		if err := json.Unmarshal(m.Params, &event); err != nil {
			b.t.Fatal(err)
		}
		if event.Name == "load" {
			b.loaded = event.LoaderID
		}
	case "Runtime.exceptionThrown", "Log.entryAdded", "Network.loadingFailed", "Runtime.consoleAPICalled":
		b.faults = append(b.faults, string(m.Params))
	}
	return m
}

// load goes to an address and waits until it is there.
func (b *browser) load(url string) {
	b.t.Helper()
	var to struct{ LoaderID string }
	b.call("Page.navigate", map[string]any{"url": url}, &to)
	for b.loaded != to.LoaderID {
		b.receive()
	}
	b.there = to.LoaderID
}

// next waits for the document that follows the one that is there.
func (b *browser) next() {
	b.t.Helper()
	for b.loaded == b.there {
		b.receive()
	}
	b.there = b.loaded
}

// eval evaluates an expression in the page.
func (b *browser) eval(expression string, result any) {
	b.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails any
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &r)
	if r.ExceptionDetails != nil {
		b.t.Fatalf("%s: %v", expression, r.ExceptionDetails)
	}
	if result != nil {
		if err := json.Unmarshal(r.Result.Value, result); err != nil {
			b.t.Fatalf("%s: %v, %s", expression, err, r.Result.Value)
		}
	}
}

// click presses the mouse in the middle of the element that a selector finds.
func (b *browser) click(selector string) {
	b.t.Helper()
	q, _ := json.Marshal(selector)
	var at struct{ X, Y float64 }
	b.eval(`(() => { const e = document.querySelector(`+string(q)+`); e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect(); `+
		`return {X: r.x + r.width / 2, Y: r.y + r.height / 2} })()`, &at)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		b.call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil)
	}
}

// press types one key.
func (b *browser) press(key, text string, code int) {
	b.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		b.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code}, nil)
	}
}

// show sets the size of the window and the scheme of colours.
func (b *browser) show(width, height int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// screenshot keeps a picture of the whole page where WAGGLE_SCREENSHOTS says, for people to look at.
func (b *browser) screenshot(name string) { b.t.Helper(); b.picture(name, true) }

// picture takes one of the whole page, or of the window.
func (b *browser) picture(name string, whole bool) {
	b.t.Helper()
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": whole}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil || len(png) < 5000 {
		b.t.Errorf("a picture of %d bytes: %v", len(png), err)
	}
	if dir := os.Getenv("WAGGLE_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
			b.t.Error(err)
		}
	}
}

// serveOverHTTP puts a page behind a real server.
func serveOverHTTP(t *testing.T, s *Snapshot, proxy *config.Proxy) string {
	t.Helper()
	page := NewPage(fixed{s})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		resp := page.Serve(proxy, Request{Method: r.Method, URI: r.RequestURI, Body: body, Admin: true, Header: func(name string) string {
			if name == "host" {
				return r.Host
			}
			return r.Header.Get(name)
		}})
		for _, h := range resp.Header {
			w.Header().Set(h[0], h[1])
		}
		w.WriteHeader(resp.Status)
		_, _ = w.Write(resp.Body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestPageInABrowser loads the page in both schemes and at three widths, and uses its form by mouse and by
// keyboard, with scripts switched off: nothing may be missing then, and nothing may be complained about.
func TestPageInABrowser(t *testing.T) {
	b := startBrowser(t)
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	s := swarm()
	for i := range 400 { // a past to draw
		s.Proxies[0].Frontend.Counters.Shard(1).Sessions.Add(uint64(i % 90))
		s.Pool.Tick()
	}
	proxy := statsProxy()
	proxy.Stats.Refresh = 0 // nothing comes between what is chosen and what is sent
	url := serveOverHTTP(t, s, proxy) + "/my-stats"
	for _, tt := range []struct {
		name          string
		width, height int
		scheme        string
	}{{"light", 1700, 1100, "light"}, {"dark", 1700, 1100, "dark"}, {"laptop", 1280, 800, "light"}, {"wide", 1900, 1100, "light"}, {"wider", 2560, 1300, "dark"}, {"narrow", 360, 740, "light"}, {"narrow-dark", 360, 740, "dark"}} {
		b.show(tt.width, tt.height, tt.scheme)
		b.load(url)
		var wide int
		b.eval("document.documentElement.scrollWidth", &wide)
		if wide > tt.width {
			t.Errorf("%s: the page is %d pixels wide in a window of %d", tt.name, wide, tt.width)
		}
		var sparks int
		b.eval(`[...document.querySelectorAll(".spark")].filter(e => e.getBoundingClientRect().width > 0).length`, &sparks)
		if sparks == 0 {
			t.Errorf("%s: no sparkline can be seen", tt.name)
		}
		b.screenshot(tt.name)
	}

	b.show(1047, 720, "light") // A4 across, without its margins
	b.call("Emulation.setEmulatedMedia", map[string]any{"media": "print"}, nil)
	b.load(url)
	var paper struct{ Page, Table, Controls float64 }
	b.eval(`({Page: document.documentElement.scrollWidth, Table: Math.max(...[...document.querySelectorAll("table")].map(e => e.getBoundingClientRect().right)), `+
		`Controls: [...document.querySelectorAll("input, button, select")].filter(e => e.getBoundingClientRect().width > 0).length})`, &paper)
	if paper.Page > 1047 || paper.Table > 1047 || paper.Controls > 0 {
		t.Errorf("on paper of 1047 pixels: %+v", paper)
	}
	b.screenshot("print")
	b.show(1700, 1100, "light")
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "forced-colors", "value": "active"}}}, nil)
	b.load(url)
	b.screenshot("forced-colors")

	b.show(1700, 1100, "light")
	b.load(url)
	b.click("input[name=s][value=plain]")
	b.eval(`document.querySelector("form:has(input[value=plain]) select").value = "maint"`, nil)
	b.click("form:has(input[value=plain]) .act button")
	b.next()
	wantOutcome(b, "Done.")
	if got := serverOf(t, s, "plain").View().Status; got != "MAINT" {
		t.Errorf("after the click the server is %s", got)
	}
	b.screenshot("after-form")

	b.eval(`document.querySelector("input[name=s][value=plain]").focus()`, nil)
	b.press(" ", " ", 32) // chooses the server
	b.eval(`document.querySelector("form:has(input[value=plain]) select").focus()`, nil)
	b.press("S", "S", 83) // the first action that begins so: READY
	b.press("Tab", "", 9)
	b.press("Enter", "\r", 13)
	b.next()
	wantOutcome(b, "Done.")
	if got := serverOf(t, s, "plain").View().Status; got != "no check" {
		t.Errorf("after the keys the server is %s", got)
	}
	for _, f := range b.faults {
		t.Errorf("the browser complains: %s", f)
	}
}

func wantOutcome(b *browser, want string) {
	b.t.Helper()
	var text string
	b.eval(`document.querySelector(".outcome")?.innerText ?? ""`, &text)
	if !strings.HasPrefix(text, want) {
		b.t.Errorf("the page tells %q, want %q", text, want)
	}
}

// TestCrowdInABrowser: 40 backends of 20 servers.
func TestCrowdInABrowser(t *testing.T) {
	b := startBrowser(t)
	b.show(1700, 1100, "light")
	b.load(serveOverHTTP(t, crowdOf(40, 20), statsProxy()) + "/my-stats")
	var rows int
	b.eval(`document.querySelectorAll("tbody tr").length`, &rows)
	if rows < 800 {
		t.Errorf("%d rows", rows)
	}
	b.picture("crowd", false) // all of it is 20,000 pixels high, which a browser without a graphics card may never finish
	for _, f := range b.faults {
		t.Errorf("the browser complains: %s", f)
	}
}

// TestAnotherSiteInABrowser has a page of another origin send the form: what a browser tells of where it
// comes from has to be enough to refuse it.
func TestAnotherSiteInABrowser(t *testing.T) {
	b := startBrowser(t)
	s := swarm()
	target := serveOverHTTP(t, s, statsProxy())
	for name, host := range map[string]string{"another port": "127.0.0.1", "another name": "evil.example"} {
		evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("content-type", "text/html")
			_, _ = io.WriteString(w, `<!DOCTYPE html><form method=post action="`+target+`/my-stats"><input name=s value=plain><input name=action value=maint>`+
				`<input name=b value=db><button>win</button></form>`)
		}))
		b.load(strings.Replace(evil.URL, "127.0.0.1", host, 1))
		b.click("button")
		b.next()
		wantOutcome(b, "Nothing was changed: it was refused.")
		if serverOf(t, s, "plain").View().Admin.Maint() {
			t.Errorf("%s changed a server", name)
		}
		evil.Close()
	}
}
