package peers

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/pki"
	"waggle/pkg/lab/require"
	"waggle/test/program"
)

// TestStoppedProxiesAsHAProxy: when a soft stop begins each proxy says in the log that it has stopped, and how many connections
// it has had; frontends come first.
func TestStoppedProxiesAsHAProxy(t *testing.T) {
	const text = `
global
    log %[1]s local0

defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 20s
    timeout server 20s
backend b
    http-request return status 200
frontend zf
    bind %[2]s
    default_backend b
listen l
    bind %[3]s
    http-request return status 200
frontend af
    bind %[4]s
    default_backend b
`
	var told []string
	for _, contender := range []string{"waggle", "haproxy"} {
		syslog, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syslog.Close() })
		addr := []string{labtest.FreeAddr(t).String(), labtest.FreeAddr(t).String(), labtest.FreeAddr(t).String()}
		file := pki.Write(t, t.TempDir(), "haproxy.cfg", fmt.Sprintf(text, syslog.LocalAddr(), addr[0], addr[1], addr[2]))
		cmd := exec.Command(require.Tool(t, "haproxy"), "-db", "-f", file)
		if contender == "waggle" {
			cmd = program.Command(t, "run", "-f", file, "--datapath=off")
		}
		run(t, cmd, addr[2])
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
		for _, a := range []string{addr[0], addr[0], addr[1]} {
			resp, err := client.Get("http://" + a + "/")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		told = append(told, stoppedLines(t, syslog))
	}
	if told[0] != told[1] {
		t.Errorf("waggle:\n%s\nHAProxy:\n%s", told[0], told[1])
	}
}

// stoppedLines are the lines about proxies that have stopped, with their level, until there are four.
func stoppedLines(t *testing.T, syslog net.PacketConn) string {
	t.Helper()
	var lines []string
	_ = syslog.SetReadDeadline(time.Now().Add(patience))
	for buf := make([]byte, 4096); len(lines) < 4; {
		n, _, err := syslog.ReadFrom(buf)
		if err != nil {
			t.Fatalf("%v, after %q", err, lines)
		}
		if line := string(buf[:n]); strings.Contains(line, " stopped ") {
			// Connecting to find out whether it listens counts, too, as often as it took.
			line = regexp.MustCompile(`>.*: Proxy`).ReplaceAllString(strings.TrimSpace(line), "> Proxy")
			lines = append(lines, regexp.MustCompile(`Proxy af .*`).ReplaceAllString(line, "Proxy af"))
		}
	}
	return strings.Join(lines, "\n")
}
