package labtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"waggle/pkg/lab"
	"waggle/pkg/lab/pattern"
)

// workers is how many connections Shares has open at once.
const workers = 8

// HTTPShares makes n GET requests for / at addr, each on a connection of its own, and counts the hostnames
// in the responses. An error or another status than 200 fails the test.
func HTTPShares(t testing.TB, from *lab.Host, addr string, n int) map[string]int {
	t.Helper()
	client := from.HTTPClient()
	return shares(t, n, func(ctx context.Context) (string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
		if err != nil {
			return "", err
		}
		resp, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
		}
		return string(body), err
	})
}

// TCPShares makes n connections to addr, behind which are tasks of kind lab.TCP, and counts the hostnames.
func TCPShares(t testing.TB, from *lab.Host, addr string, n int) map[string]int {
	t.Helper()
	return shares(t, n, func(ctx context.Context) (string, error) {
		conn, err := from.DialContext(ctx, "tcp4", addr)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "hostname\n"); err != nil {
			return "", err
		}
		answer, err := io.ReadAll(conn)
		return string(answer), err
	})
}

// shares calls ask n times from several goroutines and counts what it returns.
func shares(t testing.TB, n int, ask func(context.Context) (string, error)) map[string]int {
	t.Helper()
	ctx := Context(t)
	jobs := make(chan struct{}, n)
	for range n {
		jobs <- struct{}{}
	}
	close(jobs)
	var mu sync.Mutex
	counts := make(map[string]int)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for range jobs {
				answer, err := ask(ctx)
				name, ok := strings.CutPrefix(strings.TrimSpace(answer), "hostname: ")
				if err == nil && !ok {
					err = fmt.Errorf("no hostname in %q", answer)
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				counts[name]++
				mu.Unlock()
			}
		})
	}
	running.Wait()
	return counts
}

// Download fetches n bytes over TCP from addr, behind which are tasks of kind lab.TCP, and compares them with
// what was to be sent.
func Download(t testing.TB, from *lab.Host, addr string, n int64) {
	t.Helper()
	conn := dial(t, from, addr)
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "bytes %d\n", n); err != nil {
		t.Fatal(err)
	}
	if err := compare(conn, n); err != nil {
		t.Fatal(err)
	}
}

// compare says how r differs from the first n bytes of the pattern followed by its end; nil if it does not.
func compare(r io.Reader, n int64) error {
	const block = 64 << 10
	want := pattern.Reader(n)
	a, b := make([]byte, block), make([]byte, block)
	for at := int64(0); at < n; {
		size, err := io.ReadFull(want, b[:min(block, n-at)])
		if err != nil {
			return err
		}
		if got, err := io.ReadFull(r, a[:size]); err != nil {
			return fmt.Errorf("%d of %d bytes came: %w", at+int64(got), n, err)
		}
		if !bytes.Equal(a[:size], b[:size]) {
			return fmt.Errorf("bytes differ within %d of offset %d", size, at)
		}
		at += int64(size)
	}
	if rest, err := io.Copy(io.Discard, r); rest != 0 || err != nil {
		return fmt.Errorf("after all %d bytes: %d more, error %v", n, rest, err)
	}
	return nil
}

// Upload sends n bytes over TCP to addr, behind which are tasks of kind lab.TCP, closes its half, and compares
// the digest that the task made.
func Upload(t testing.TB, from *lab.Host, addr string, n int64) {
	t.Helper()
	conn := dial(t, from, addr)
	defer conn.Close()
	sum := sha256.New()
	if _, err := io.WriteString(conn, "sink\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(conn, io.TeeReader(pattern.Reader(n), sum)); err != nil {
		t.Fatal(err)
	}
	if half, ok := conn.(*net.TCPConn); ok {
		if err := half.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d %x\n", n, sum.Sum(nil)); string(answer) != want {
		t.Fatalf("the task got %q, want %q", answer, want)
	}
}

func dial(t testing.TB, from *lab.Host, addr string) net.Conn {
	t.Helper()
	ctx := Context(t)
	conn, err := from.DialContext(ctx, "tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	return conn
}
