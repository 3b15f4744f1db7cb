package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
)

// TestWatchedConfiguration swaps the symbolic link of a directory, as whoever mounts configurations does. Nobody sends a
// signal.
func TestWatchedConfiguration(t *testing.T) {
	addr := labtest.FreeAddr(t)
	dir := t.TempDir()
	swap := func(version, answer string) {
		t.Helper()
		text := fmt.Sprintf("defaults\n mode http\n timeout client 5s\nfrontend f\n bind %s\n http-request return status 200 content-type text/plain string %s\n", addr, answer)
		link := filepath.Join(dir, "new")
		for _, err := range []error{
			os.Mkdir(filepath.Join(dir, version), 0o755),
			os.WriteFile(filepath.Join(dir, version, "haproxy.cfg"), []byte(text), 0o644),
			os.Symlink(version, link),
			os.Rename(link, filepath.Join(dir, "conf")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var said labtest.Transcript
	eventually := func(what string, holds func() bool) {
		t.Helper()
		for end := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("it is not so that %s; waggle said:\n%s", what, said.String())
			}
		}
	}
	answers := func(want string) func() bool {
		return func() bool {
			resp, err := http.Get("http://" + addr.String() + "/")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			return string(body) == want
		}
	}
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	swap("1", "one")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- Run(ctx, []string{"run", "-f", filepath.Join(dir, "conf"), "--watch-config=100ms", "--datapath=off", "--keep-privileges", "--loops=1", fmt.Sprintf("--health-socket=@wg-watch-%d", os.Getpid())}, nil, &said, &said)
	}()
	defer func() {
		cancel()
		if code := <-ended; code != ExitOK {
			t.Errorf("exit %d", code)
		}
	}()
	eventually("the first answers", answers("one"))
	swap("2", "two")
	eventually("the second answers", answers("two"))
	swap("3", "three nonsense")
	eventually("the third is refused", func() bool { return strings.Contains(said.String(), "the one in use stays") })
	swap("4", "four")
	eventually("the fourth answers", answers("four"))
	if n := strings.Count(said.String(), `why="the files have changed"`); n != 3 {
		t.Errorf("loaded %d times:\n%s", n, said.String())
	}
}
