package soak

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"waggle/pkg/lab/pattern"
)

const (
	// patience is how long an exchange may take.
	patience = 20 * time.Second
	// pause lies between two exchanges of a client.
	pause = 5 * time.Millisecond
	// clients is how many clients each lane has.
	clients = 2
)

// errWrong is an answer with other bytes than the server sent.
var errWrong = errors.New("wrong bytes")

// lane is one kind of traffic. do makes one exchange of about n bytes and compares what comes back.
type lane struct {
	name  string
	group string // "http" or "tcp": the service that it uses
	do    func(ctx context.Context, s *stage, n int64) error
}

func lanes() []lane {
	kept, h2 := &http.Transport{}, &http.Transport{ForceAttemptHTTP2: true}
	return []lane{
		{"GET over kept connections", "http", overHTTP(kept, "http", get)},
		{"GET with a connection each", "http", overHTTP(nil, "http", get)},
		{"GET chunked", "http", overHTTP(kept, "http", stream)},
		{"POST", "http", overHTTP(kept, "http", post)},
		{"POST chunked with a connection each", "http", overHTTP(nil, "http", postChunked)},
		{"GET over TLS and HTTP/2", "http", overHTTP(h2, "https", get)},
		{"POST over TLS with a connection each", "http", overHTTP(nil, "https", post)},
		{"TCP by the kernel, download", "tcp", overTCP(tcpPort, download)},
		{"TCP by the kernel, echo", "tcp", overTCP(tcpPort, echo)},
		{"TCP by the kernel, one line", "tcp", overTCP(tcpPort, hostname)},
		{"TCP by userspace, download", "tcp", overTCP(relayPort, download)},
		{"TCP by userspace, echo", "tcp", overTCP(relayPort, echo)},
		{"TCP by userspace, one line", "tcp", overTCP(relayPort, hostname)},
	}
}

// overHTTP makes requests through a transport of the lane's own, or with a connection each if that is nil.
func overHTTP(kept *http.Transport, scheme string, do func(context.Context, *http.Client, string, int64) error) func(context.Context, *stage, int64) error {
	var once sync.Once
	return func(ctx context.Context, s *stage, n int64) error {
		transport := kept
		if transport == nil {
			transport = &http.Transport{DialContext: s.Client.DialContext, TLSClientConfig: s.trust.Clone(), DisableKeepAlives: true}
		} else {
			once.Do(func() { kept.DialContext, kept.TLSClientConfig = s.Client.DialContext, s.trust.Clone() })
		}
		port := httpPort
		if scheme == "https" {
			port = httpsPort
		}
		return do(ctx, &http.Client{Transport: transport, Timeout: patience}, scheme+"://"+s.Balancer.Endpoint(port), n)
	}
}

func get(ctx context.Context, c *http.Client, base string, n int64) error {
	return request(ctx, c, http.MethodGet, fmt.Sprintf("%s/bytes/%d", base, n), nil, n)
}

func stream(ctx context.Context, c *http.Client, base string, n int64) error {
	return request(ctx, c, http.MethodGet, fmt.Sprintf("%s/stream/%d", base, n), nil, n)
}

func post(ctx context.Context, c *http.Client, base string, n int64) error {
	body, err := io.ReadAll(pattern.Reader(n))
	if err != nil {
		return err
	}
	return request(ctx, c, http.MethodPost, base+"/echo", bytes.NewReader(body), n)
}

func postChunked(ctx context.Context, c *http.Client, base string, n int64) error {
	return request(ctx, c, http.MethodPost, base+"/echo", io.MultiReader(pattern.Reader(n)), n) // of unknown length
}

func request(ctx context.Context, c *http.Client, method, url string, body io.Reader, n int64) error {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return fmt.Errorf("status %d: %s", resp.StatusCode, bytes.TrimSpace(text))
	}
	return same(resp.Body, n)
}

func overTCP(port int, do func(*net.TCPConn, int64) error) func(context.Context, *stage, int64) error {
	return func(ctx context.Context, s *stage, n int64) error {
		dialing, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		conn, err := s.Client.DialContext(dialing, "tcp4", s.Balancer.Endpoint(port))
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		return do(conn.(*net.TCPConn), n)
	}
}

func download(c *net.TCPConn, n int64) error {
	if _, err := fmt.Fprintf(c, "bytes %d\n", n); err != nil {
		return err
	}
	return same(c, n)
}

func echo(c *net.TCPConn, n int64) error {
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(c, io.MultiReader(strings.NewReader("echo\n"), pattern.Reader(n)))
		sent <- errors.Join(err, c.CloseWrite())
	}()
	err := same(c, n)
	if err != nil {
		c.Close() // nobody reads what is still to be sent
	}
	return errors.Join(err, <-sent)
}

func hostname(c *net.TCPConn, _ int64) error {
	if _, err := fmt.Fprintln(c, "hostname"); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "hostname: raw-") {
		err = fmt.Errorf("%w: %q", errWrong, line)
	}
	return err
}

// same compares all that r gives with the first n bytes of the pattern.
func same(r io.Reader, n int64) error {
	want, got := make([]byte, 32<<10), make([]byte, 32<<10)
	pat, at := pattern.Reader(n), int64(0)
	for {
		k, err := r.Read(got)
		if m, _ := io.ReadFull(pat, want[:k]); m < k || !bytes.Equal(got[:k], want[:k]) {
			return fmt.Errorf("%w among the %d from %d on, of %d", errWrong, k, at, n)
		}
		at += int64(k)
		if err == nil {
			continue
		}
		if !errors.Is(err, io.EOF) || at < n {
			return fmt.Errorf("after %d of %d bytes: %w", at, n, err)
		}
		return nil
	}
}

// failure is an exchange that failed.
type failure struct {
	lane       lane
	began, end time.Time
	err        error
}

// tally counts the exchanges of one lane.
type tally struct {
	done  int
	bytes int64
}

// load is the traffic of all lanes.
type load struct {
	stop    context.CancelFunc
	running sync.WaitGroup
	lanes   []lane

	mu       sync.Mutex
	tallies  []tally // by lane
	failures []failure
}

// load starts the traffic; end must be called.
func (s *stage) load(ctx context.Context) *load {
	l := &load{lanes: lanes()}
	l.tallies = make([]tally, len(l.lanes))
	ctx, l.stop = context.WithCancel(ctx)
	for i := range l.lanes {
		for range clients {
			l.running.Go(func() { l.client(ctx, s, i) })
		}
	}
	return l
}

func (l *load) client(ctx context.Context, s *stage, i int) {
	for ctx.Err() == nil {
		n := int64(rand.IntN(2000)) //nolint:gosec // sizes of test bodies
		if rand.IntN(10) == 0 {
			n = int64(rand.IntN(1_000_000))
		}
		began := time.Now()
		// An exchange that has begun is finished also after the end.
		err := l.lanes[i].do(context.WithoutCancel(ctx), s, n)
		l.mu.Lock()
		if err != nil {
			l.failures = append(l.failures, failure{l.lanes[i], began, time.Now(), err})
		} else {
			l.tallies[i].done++
			l.tallies[i].bytes += n
		}
		l.mu.Unlock()
		time.Sleep(pause)
	}
}

func (l *load) end() {
	l.stop()
	l.running.Wait()
}
