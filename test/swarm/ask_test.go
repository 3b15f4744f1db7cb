package swarm

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/test/swarm/engine"
)

// askTimeout bounds one request whose context does not. Every answer in a healthy swarm takes milliseconds.
const askTimeout = 2 * time.Second

// within bounds a request.
func within(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, bounded := ctx.Deadline(); bounded {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, askTimeout)
}

// answer is what one request gave.
type answer struct {
	begun  time.Time
	status int // 0: none, see err
	body   string
	err    error
}

// task is the hostname of the task that answered; empty if none did.
func (a answer) task() string {
	name, ok := strings.CutPrefix(a.body, "hostname: ")
	if !ok || a.status != http.StatusOK {
		return ""
	}
	return name
}

func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %.60q", a.status, a.body)
}

// ask sends one request from the client to a published port of the node, on a connection of its own.
func ask(ctx context.Context, e *engine.Engine, port uint16, path string) answer {
	a := answer{begun: time.Now()}
	ctx, cancel := within(ctx)
	defer cancel()
	url := fmt.Sprintf("http://%v%s", netip.AddrPortFrom(e.NodeAddr(), port), path)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		a.err = err
		return a
	}
	client := http.Client{Transport: &http.Transport{DialContext: e.DialContext, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		a.err = err
		return a
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	a.status, a.body, a.err = resp.StatusCode, string(body), err
	return a
}

// awaitShares waits until all names answer, and fails the test unless they then share requests equally.
func awaitShares(t *testing.T, e *engine.Engine, port uint16, names []string) {
	t.Helper()
	const each = 10
	var last answer
	seen := make(map[string]bool)
	for end := time.Now().Add(30 * time.Second); len(seen) < len(names); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("port %d: only %v of %v answer; the last answer is %v", port, slices.Collect(maps.Keys(seen)), names, last)
		}
		if last = ask(t.Context(), e, port, "/"); slices.Contains(names, last.task()) {
			seen[last.task()] = true
		}
	}
	shares := make(map[string]int)
	for range each * len(names) {
		a := ask(t.Context(), e, port, "/")
		if a.task() == "" {
			t.Errorf("port %d: answer %v", port, a)
		}
		shares[a.task()]++
	}
	for _, name := range names {
		if shares[name] != each {
			t.Errorf("port %d: %s answered %d of %d requests, want %d; all: %v", port, name, shares[name], each*len(names), each, shares)
		}
	}
}

// asker asks without pause, one request after the other.
type asker struct {
	stop func()

	mu      sync.Mutex
	answers []answer
}

// startAsking asks until stop or the end of the test.
func startAsking(t *testing.T, e *engine.Engine, port uint16) *asker {
	return startAskingBy(t, func(ctx context.Context) answer { return ask(ctx, e, port, "/") })
}

func startAskingBy(t *testing.T, ask func(context.Context) answer) *asker {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	k := &asker{stop: func() { cancel(); <-done }}
	t.Cleanup(k.stop)
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			a := ask(ctx)
			if ctx.Err() != nil {
				return
			}
			k.mu.Lock()
			k.answers = append(k.answers, a)
			k.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return k
}

// since returns the answers to requests begun at or after a moment.
func (k *asker) since(moment time.Time) []answer {
	k.mu.Lock()
	defer k.mu.Unlock()
	i, _ := slices.BinarySearchFunc(k.answers, moment, func(a answer, m time.Time) int { return a.begun.Compare(m) })
	return slices.Clone(k.answers[i:])
}

// lastOther is the newest answer that is not wanted; ok is false if there is none.
func (k *asker) lastOther(wanted func(answer) bool) (_ answer, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range slices.Backward(k.answers) {
		if !wanted(a) {
			return a, true
		}
	}
	return answer{}, false
}

// awaitOnly waits until nothing but wanted answers has come for a second, and fails the test if an answer that is
// not wanted belongs to a request begun later than limit after moment.
func (k *asker) awaitOnly(t *testing.T, moment time.Time, limit time.Duration, what string, wanted func(answer) bool) {
	t.Helper()
	const calm = time.Second
	for {
		calmSince := moment
		if other, ok := k.lastOther(wanted); ok && other.begun.After(moment) {
			calmSince = other.begun
			if lag := calmSince.Sub(moment); lag > limit {
				t.Fatalf("%v after the change, more than %v: %v, want only %s", lag, limit, other, what)
			}
		}
		// The first of these answers may be the one that was not wanted.
		if time.Since(calmSince) > calm && len(k.since(calmSince)) > 2 {
			t.Logf("only %s from %v after the change on", what, calmSince.Sub(moment).Round(time.Millisecond))
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}
