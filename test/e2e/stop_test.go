package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	readyPort = 8405
	graceTime = time.Second
	// hardStop is long after all that has to end before it has done so, also where the machine stalls.
	hardStop = 5 * time.Second
)

// stopping is a configuration whose soft stop takes its time.
func stopping() string {
	return strings.Replace(changing(0, ""), "global\n", fmt.Sprintf("global\n    grace %s\n    hard-stop-after %s\n", graceTime, hardStop), 1)
}

// TestSoftStopUnderLoad: readiness goes first, then new connections; what is under way and ends in time is not touched, on
// either path; what does not is cut.
func TestSoftStopUnderLoad(t *testing.T) {
	for _, datapath := range datapaths() {
		flag := "--datapath=" + datapath
		t.Run("datapath "+datapath, func(t *testing.T) {
			b, _ := reloadable(t, stopping(), flag, "--health-address=0.0.0.0:8405")
			softStop(t, b)
		})
	}
}

func softStop(t *testing.T, b *balancer) {
	if status, _, err := b.get(readyPort, "/readyz"); err != nil || status != http.StatusOK {
		t.Fatalf("/readyz: %d, %v", status, err)
	}
	const flight = 20
	var under sync.WaitGroup
	failed := make(chan error, 2*flight)
	var lines []net.Conn
	for range flight {
		conn, err := b.ask("echo") // it will end 2.5 s after the signal
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := line(conn, "before"); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, conn)
		under.Go(func() { // it will end about 2.5 s after the signal
			status, body, err := b.get(httpPort, "/slow/2500")
			if err != nil || status != http.StatusOK || !strings.HasPrefix(body, "hostname: web-") {
				failed <- fmt.Errorf("a request in flight: status %d, %q, %v", status, body, err)
			}
		})
	}
	stays, err := b.ask("echo") // it will not end by itself
	if err != nil {
		t.Fatal(err)
	}
	defer stays.Close()
	b.eventually("the requests are under way", func() error {
		if n := b.metric("haproxy_backend_current_sessions", `proxy="web"`); n < flight {
			return fmt.Errorf("%v of %d", n, flight)
		}
		return nil
	})

	signalled := time.Now()
	if err := b.process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	// In the grace time everything is as it was but for readiness; refused are only connections after it.
	refusedAt := b.firstRefused(httpPort)
	if d := refusedAt.Sub(signalled); d < graceTime || d > hardStop {
		t.Errorf("connections are refused %v after the signal, want %v", d, graceTime)
	}
	b.eventually("the kernel path takes none either", func() error {
		conn, err := b.dial(tcpPort)
		if err == nil {
			conn.Close()
			return errors.New("it does")
		}
		return nil
	})
	if status, _, err := b.get(readyPort, "/healthz"); err != nil || status != http.StatusOK {
		t.Errorf("/healthz in a soft stop: %d, %v", status, err)
	}
	time.Sleep(time.Until(signalled.Add(2500 * time.Millisecond))) // the connections' own pace, not a wait for something
	for _, conn := range lines {
		if err := errors.Join(line(conn, "after"), finish(conn)); err != nil {
			t.Errorf("a TCP connection that is open: %v", err)
		}
	}
	under.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	if err := line(stays, "still"); err != nil {
		t.Errorf("a TCP connection before hard-stop-after: %v", err)
	}
	b.ended("the time of hard-stop-after")
	if d := time.Since(signalled); d < hardStop {
		t.Errorf("it ended %v after the signal", d)
	}
	stays.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadAll(stays); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the client whose connection was cut is not told")
	}
}

// firstRefused makes connections until one is refused; those before are served, the last ones when readiness was off already.
func (b *balancer) firstRefused(port int) time.Time {
	b.t.Helper()
	off, stalled := false, false
	for began, last := time.Now(), time.Now(); time.Since(began) < patience; time.Sleep(5 * time.Millisecond) {
		status, _, err := b.get(readyPort, "/readyz")
		if err != nil {
			b.t.Fatalf("/readyz: %v", err)
		}
		conn, err := b.dial(port)
		stalled = stalled || time.Since(last) > graceTime/2
		last = time.Now()
		// Reset is who is in the middle of a handshake when the socket is closed: the kernel has nobody to hand it to.
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) {
			if status, _, err := b.get(readyPort, "/readyz"); err != nil || status != http.StatusServiceUnavailable || !off && !stalled {
				b.t.Errorf("port %d: a connection is refused, and readiness was not off before: /readyz: %d, %v", port, status, err)
			}
			return last
		}
		if err != nil {
			b.t.Fatalf("port %d: %v", port, err)
		}
		conn.Close()
		off = off || status == http.StatusServiceUnavailable
	}
	b.t.Fatalf("port %d: connections are not refused", port)
	return time.Time{}
}

// line sends a line to a task that echoes, and wants it back.
func line(conn net.Conn, text string) error {
	if _, err := fmt.Fprintln(conn, text); err != nil {
		return err
	}
	got := make([]byte, len(text)+1)
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if string(got) != text+"\n" {
		return fmt.Errorf("got %q", got)
	}
	return nil
}

// finish ends a connection in order.
func finish(conn net.Conn) error {
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return err
	}
	rest, err := io.ReadAll(conn)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%q came at the end", rest)
	}
	return err
}

// TestBadConfigurationChangesNothing: it is logged with its place and shown, and traffic does not notice.
func TestBadConfigurationChangesNothing(t *testing.T) {
	b, file := reloadable(t, changing(0, ""), "--datapath=off")
	raw := b.rawAddr()
	kept, err := b.ask("echo")
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	bad := []struct{ text, want string }{
		{strings.Replace(changing(1, raw), "balance", "balonce", 1), "unknown keyword 'balonce' in 'backend' section"},
		{changing(2, raw) + "\nfrontend taken\n    mode http\n    bind 192.0.2.77:80\n    default_backend web\n", "cannot bind socket (Cannot assign requested address) for [192.0.2.77:80]"},
		{changing(3, raw) + "\nfrontend page\n    mode http\n    bind *:8011\n    errorfile 503 /nonexistent\n    default_backend web\n", "/nonexistent"},
	}
	for _, c := range bad {
		b.rewrite(file, c.text)
		if err := b.process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		b.eventually("the failure is shown", func() error {
			logs, err := b.runtime("show startup-logs")
			if err != nil || !strings.Contains(logs, c.want) {
				return fmt.Errorf("startup logs %q, %v", logs, err)
			}
			return nil
		})
		if got := b.metric("waggle_config_last_reload_successful", ""); got != 0 {
			t.Errorf("waggle_config_last_reload_successful is %v", got)
		}
		if _, page, err := b.get(statsPort, "/"); err != nil || !strings.Contains(page, "could not be loaded at the last attempt") {
			t.Errorf("the page does not tell, %v", err)
		}
		if got, err := b.round(); err != nil || got != 0 {
			t.Errorf("configuration %d answers, %v", got, err)
		}
		if conn, err := b.dial(8011); err == nil {
			conn.Close()
			t.Error("a frontend of a bad configuration accepts")
		}
		b.wrote(c.want)
	}
	b.rewrite(file, changing(4, raw))
	if err := b.process.Signal(os.Signal(syscall.SIGUSR2)); err != nil {
		t.Fatal(err)
	}
	b.eventually("a good configuration is loaded", func() error {
		if got, err := b.round(); err != nil || got != 4 {
			return fmt.Errorf("configuration %d, %v", got, err)
		}
		return nil
	})
	b.eventually("success is noted", func() error { // a moment after the first answer
		if got := b.metric("waggle_config_last_reload_successful", ""); got != 1 {
			return fmt.Errorf("waggle_config_last_reload_successful is %v", got)
		}
		return nil
	})
	if err := line(kept, "still here"); err != nil {
		t.Error(err)
	}
}
