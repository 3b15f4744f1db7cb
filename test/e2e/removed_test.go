package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSessionsOfARemovedFrontendEnd: a reload takes a frontend away; its sessions have hard-stop-after to end, those of
// other frontends all the time, on both paths.
func TestSessionsOfARemovedFrontendEnd(t *testing.T) {
	const after = 4 * time.Second
	with := strings.Replace(changing(0, ""), "global\n", fmt.Sprintf("global\n    hard-stop-after %s\n", after), 1)
	extra := with + fmt.Sprintf("\nfrontend extra_tcp\n    mode tcp\n    bind *:%d\n    default_backend raw\n", extraPort)
	for _, datapath := range datapaths() {
		flag := "--datapath=" + datapath
		t.Run("datapath "+datapath, func(t *testing.T) {
			b, file := reloadable(t, extra, flag)
			kept, err := b.ask("echo")
			if err != nil {
				t.Fatal(err)
			}
			defer kept.Close()
			removed, err := b.dial(extraPort)
			if err != nil {
				t.Fatal(err)
			}
			defer removed.Close()
			_, err = io.WriteString(removed, "echo\n")
			if err = errors.Join(err, line(removed, "before"), line(kept, "before")); err != nil {
				t.Fatal(err)
			}
			b.rewrite(file, with)
			if err := b.process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			b.eventually("the frontend accepts no more", func() error {
				conn, err := b.dial(extraPort)
				if err == nil {
					conn.Close()
					return errors.New("it does")
				}
				return nil
			})
			gone := time.Now()
			if err := errors.Join(line(removed, "after"), line(kept, "after")); err != nil {
				t.Errorf("right after the reload: %v", err)
			}
			removed.SetReadDeadline(gone.Add(patience)) // the timeouts of the client are longer
			if _, err := removed.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read: %v", err)
			}
			if d := time.Since(gone); d < after/2 || d > 25*time.Second {
				t.Errorf("the session of the removed frontend ended %v after the reload, want %v", d, after)
			}
			if err := line(kept, "still here"); err != nil {
				t.Errorf("the other frontend's: %v", err)
			}
		})
	}
}
