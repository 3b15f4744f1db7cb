package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const topHeader = "# pxname,svname,qcur,scur,slim,stot,bin,bout,econ,eresp,status,hrsp_5xx,req_tot,addr\n"

// topLook makes a look at a balancer with an HTTP and a TCP frontend.
func topLook(t *testing.T, at time.Duration, stat, path string) *topSample {
	t.Helper()
	s, err := parseTopSample(time.Unix(0, 0).Add(at), strings.NewReader(topHeader+stat), strings.NewReader(path))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func topPair(t *testing.T) (before, now *topSample) {
	t.Helper()
	before = topLook(t, 0,
		"in,FRONTEND,,2,100,1000,5000,70000,,,OPEN,4,3000,\n"+
			"web,web-1,0,1,,500,2500,35000,0,0,UP,2,1500,10.0.1.3:8000\n"+
			"web,web-2,0,0,,500,2500,35000,7,0,DOWN,2,1500,10.0.1.4:8000\n",
		`{"mode":"tc","degraded":[],"frontends":[{"name":"in","kernel_sessions_total":900,"userspace_sessions_total":100}]}`)
	now = topLook(t, 2*time.Second,
		"in,FRONTEND,,12,100,1200,25000,4070000,,,OPEN,4,7000,\n"+
			"web,web-1,3,9,,600,12500,2035000,0,0,UP,2,3500,10.0.1.3:8000\n"+
			"web,web-2,0,0,,500,2500,35000,9,0,DOWN,2,1500,10.0.1.4:8000\n"+
			"web,web-3,0,0,,0,0,0,0,0,MAINT (resolution),0,0,\n",
		`{"mode":"tc","degraded":["no NET_RAW"],"frontends":[{"name":"in","kernel_sessions_total":1050,"userspace_sessions_total":150}]}`)
	return before, now
}

func TestTopRates(t *testing.T) {
	f := compareTop(topPair(t))
	if f.EmptySlot != 1 || len(f.Rows) != 3 {
		t.Fatalf("%d rows and %d empty slots, want 3 and 1", len(f.Rows), f.EmptySlot)
	}
	in := f.Rows[0]
	if in.NewSessions != 100 || in.Requests != 2000 || in.In != 10000 || in.Out != 2e6 {
		t.Errorf("rates of the frontend: %+v", in)
	}
	if in.Kernel == nil || *in.Kernel != 0.75 {
		t.Errorf("share of the kernel path is %v, want 0.75", in.Kernel)
	}
	if down := f.Rows[2]; down.Errors != 1 || down.Kernel != nil {
		t.Errorf("rates of the broken server: %+v", down)
	}
}

// TestTopCountsAnewAfterARestart: counters that have gone back give no rate, and never a negative or huge one.
func TestTopCountsAnewAfterARestart(t *testing.T) {
	before, now := topPair(t)
	f := compareTop(now, before)
	for _, r := range f.Rows {
		if r.NewSessions != 0 || r.Requests != 0 || r.In != 0 || r.Kernel != nil {
			t.Errorf("%s/%s has rates: %+v", r.Proxy, r.Name, r)
		}
	}
}

func TestTopFrameAsText(t *testing.T) {
	want := []string{
		"kernel path: tc   1 empty slots not shown",
		"degraded: no NET_RAW",
		"",
		"NAME         STATUS  SESSIONS  NEW/S  KERNEL  REQ/S  IN/S  OUT/S  QUEUED  ERR/S  5XX/S",
		"frontend in    OPEN        12    100     75%   2.0k   10k   2.0M       0      0      0",
		"  web/web-1      UP         9     50       -   1.0k  5.0k   1.0M       3      0      0  10.0.1.3:8000",
		"  web/web-2    DOWN         0      0       -      0     0      0       0    1.0      0  10.0.1.4:8000",
	}
	if got := compareTop(topPair(t)).lines(false, 0, 0); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	coloured := compareTop(topPair(t)).lines(true, 0, 0)
	if line := coloured[6]; line != "\x1b[31m"+want[6]+"\x1b[0m" {
		t.Errorf("a server that is down is shown as %q", line)
	}
}

func TestBriefNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.04: "0.0", 9.94: "9.9", 9.96: "10", 999: "999", 999.6: "1.0k", 12345: "12k", 2.5e6: "2.5M", 3e9: "3.0G", 7e12: "7T"} {
		if got := brief(v); got != want {
			t.Errorf("brief(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestLinesAreCutToTheTerminal(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"abcdef", "abc"}, {"ab", "ab"}, {"äöüß", "äöü"}, {"\x1b[31mabcdef\x1b[0m", "\x1b[31mabc\x1b[0m"},
	} {
		if got := cutVisible(test.line, 3); got != test.want {
			t.Errorf("cutVisible(%q) = %q, want %q", test.line, got, test.want)
		}
	}
}

// TestTopLooksOnceMoreThanItShows: rates take two looks, and each frame after the first one takes one more.
func TestTopLooksOnceMoreThanItShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, looks := time.Now(), 0
		look := func(context.Context) (*topSample, error) {
			looks++
			s := topLook(t, time.Since(began), "in,FRONTEND,,0,100,0,0,0,,,OPEN,0,0,\n", `{"mode":"off"}`)
			return s, nil
		}
		var out, errs bytes.Buffer
		e := Env{Stdout: &out, Stderr: &errs, Getenv: func(string) (string, bool) { return "", false }}
		if code := top(t.Context(), e, newTopScreen(e, true), 3, 5*time.Second, look); code != ExitOK {
			t.Fatalf("exit %d: %s", code, errs.String())
		}
		if took := time.Since(began); looks != 4 || took != 15*time.Second {
			t.Errorf("%d looks in %v, want 4 in 15 s", looks, took)
		}
		frames := 0
		for line := range bytes.Lines(out.Bytes()) {
			var f topFrame
			if err := json.Unmarshal(line, &f); err != nil || f.Mode != "off" || len(f.Rows) != 1 {
				t.Errorf("frame %s: %v", line, err)
			}
			frames++
		}
		if frames != 3 {
			t.Errorf("%d frames, want 3", frames)
		}
	})
}

func TestTopSaysWhatIsWrong(t *testing.T) {
	var out, errs bytes.Buffer
	e := Env{Stdout: &out, Stderr: &errs, Getenv: func(string) (string, bool) { return "", false }}
	fail := func(context.Context) (*topSample, error) { return nil, errors.New("no waggle answers") }
	if code := top(t.Context(), e, newTopScreen(e, false), 1, time.Second, fail); code != ExitFailed || !strings.Contains(errs.String(), "no waggle answers") {
		t.Errorf("exit %d, %q", code, errs.String())
	}
	for args, want := range map[string]string{
		"rounds":    `top: "rounds" expects a number`,
		"every 0":   `top: "0" is no number for "every"`,
		"rounds -1": `top: "-1" is no number for "rounds"`,
		"evry 1":    `top: unknown word "evry"; did you mean "every"?`,
	} {
		if _, _, _, err := topArgs(strings.Fields(args)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

// A terminal shows what has something to do, and the columns that it has room for.
func TestTopOnASmallTerminal(t *testing.T) {
	f := &topFrame{Mode: "tc", Rows: []topLine{{Proxy: "in", Name: "FRONTEND", Status: "OPEN", Sessions: 3}}}
	for b := range 40 {
		for s := range 20 {
			f.Rows = append(f.Rows, topLine{Proxy: fmt.Sprintf("service-%02d", b), Name: fmt.Sprintf("task-%d", s), Status: "UP", Address: "10.0.0.1:80"})
		}
		f.Rows = append(f.Rows, topLine{Proxy: fmt.Sprintf("service-%02d", b), Name: "BACKEND", Status: "UP"})
	}
	f.Rows[400].Requests, f.Rows[700].Responses5, f.Rows[820].Status = 5, 1, "DOWN"
	for _, size := range [][2]int{{80, 24}, {200, 50}, {40, 6}, {80, 3}} {
		width, height := size[0], size[1]
		lines := f.lines(false, width, height)
		if len(lines) > max(height, 4) {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		if height < 6 {
			continue
		}
		all := strings.Join(lines, "\n")
		for _, i := range []int{0, 400, 700} {
			if !strings.Contains(all, f.Rows[i].label()+" ") && height > 6 {
				t.Errorf("%v: %s is not shown:\n%s", size, f.Rows[i].label(), all)
			}
		}
		if height > 6 && !strings.Contains(all, "DOWN") {
			t.Errorf("%v: what is down is not shown", size)
		}
		if hidden := len(f.Rows) - (len(lines) - 4); !strings.HasSuffix(all, fmt.Sprintf("… and %d quieter ones", hidden)) {
			t.Errorf("%v: ends with %s, %d are hidden", size, lines[len(lines)-1], hidden)
		}
		if strings.Contains(all, "10.0.0.1:80") != (width == 200) {
			t.Errorf("%v: addresses are shown, or not:\n%s", size, all)
		}
		if titles := lines[2]; width >= 80 && (len(titles) > width || !strings.Contains(titles, "5XX/S")) || width == 200 && !strings.Contains(titles, "IN/S") {
			t.Errorf("%v: %s", size, titles)
		}
	}
}
