package lab

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestDemoUsesTheSeedUnchanged: the digests are those of the files that the demo promises to run as they are.
func TestDemoUsesTheSeedUnchanged(t *testing.T) {
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"haproxy.cfg":   {seedConfig, "e863f24b1f076c362c57b3ebe63d3156ef4a4d2542603465aec0194651e142d2"},
		"simple_web.py": {simpleWebSource, "1a0e2ffc92480b5f37df10b6ba529b8b901b60fde165d5132db4601669b3c703"},
	} {
		if got := fmt.Sprintf("%x", sha256.Sum256(c.content)); got != c.want {
			t.Errorf("%s: sha256 is %s, want %s", name, got, c.want)
		}
	}
}

func TestEqualShares(t *testing.T) {
	for _, c := range []struct {
		got    string
		served int
		want   string
	}{
		{"a b c a b c", 3, ""},
		{"a a a a", 1, ""},
		{"a b a b c c", 3, ""},
		{"a b a b a c", 3, "a gave 3 of 6"},
		{"a b a b a b", 3, "a gave 3 of 6"},
		{"", 3, "0 of 3 tasks"},
	} {
		names := strings.Fields(c.got)
		err := equal(count(names), c.served, len(names))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q over %d: got %v, want %q", c.got, c.served, err, c.want)
		}
	}
}

func TestSettled(t *testing.T) {
	failed := errors.New("status 503")
	for _, c := range []struct {
		got    string
		err    error
		names  string
		served int
		want   bool
	}{
		{"a b a b", nil, "a b", 2, true},
		{"a a a a", nil, "a b", 2, false},        // b is not used yet
		{"a b c a b c", nil, "a b", 2, false},    // c has not left yet
		{"a b", failed, "a b", 2, false},         //
		{"a b c a b c", nil, "a b c d", 3, true}, // d has no slot
		{"", failed, "", 0, true},
		{"a", nil, "", 0, false},
	} {
		if got := settled(strings.Fields(c.got), c.err, strings.Fields(c.names), c.served); got != c.want {
			t.Errorf("%q, %v, of %q: got %v", c.got, c.err, c.names, got)
		}
	}
}

const sampleMetrics = `# HELP waggle_frontend_sessions_total Sessions since the start, by the path that carried them.
# TYPE waggle_frontend_sessions_total counter
waggle_frontend_sessions_total{path="kernel",proxy="tcp_in"} 12
waggle_frontend_sessions_total{path="userspace",proxy="tcp_in"} 4
waggle_frontend_sessions_total{path="kernel",proxy="other"} 8
waggle_frontend_sessions_total{xpath="kernel",proxy="tcp_in"} 16
waggle_frontend_sessions_total{proxy="tcp_in",odd="} ",path="kernel"} 3 1700000000
waggle_datapath_mode{mode="xdp"} 0
waggle_datapath_mode{mode="tc"} 1
haproxy_process_uptime_seconds 5
broken
broken{
waggle_frontend_sessions_total many
`

func TestMetricsOfTheKernelPath(t *testing.T) {
	if n, ok := kernelSessions(sampleMetrics); n != 15 || !ok {
		t.Errorf("sessions: got %v, %v", n, ok)
	}
	if mode := datapathMode(sampleMetrics); mode != "tc" {
		t.Errorf("mode: got %q", mode)
	}
	if _, ok := kernelSessions("haproxy_process_uptime_seconds 5\n"); ok {
		t.Error("sessions were found where there are none")
	}
}

func TestKeysEndWithTheReader(t *testing.T) {
	keys, stop := readKeys(strings.NewReader("+q"))
	defer stop()
	var got []byte
	for k := range keys {
		got = append(got, k)
	}
	if string(got) != "+q" {
		t.Errorf("got %q", got)
	}
}

func TestStoppedKeysLeaveTheFileAlone(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	_, stop := readKeys(r)
	stop() // returns although nothing was written
	if _, err := w.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if n, err := r.Read(b[:]); n != 1 || err != nil {
		t.Errorf("what was written later was read by another: %d, %v", n, err)
	}
}
