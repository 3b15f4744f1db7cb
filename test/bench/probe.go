package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// get makes a request over a connection of its own and returns the body.
func (st *stage) get(ctx context.Context, to netip.AddrPort) (string, error) {
	return fetch(ctx, st.lab.Client.HTTPClient(), "http://"+to.String()+"/")
}

func fetch(ctx context.Context, client *http.Client, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
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
}

// kernelPath remembers what waggle had counted when the loads began.
type kernelPath struct{ before sessions }

// sessions are TCP sessions of the frontend by the path that carried them.
type sessions struct{ kernel, userspace float64 }

// awaitKernelPath makes connections until the kernel path carries them.
func (st *stage) awaitKernelPath(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := st.ready(ctx); err != nil {
		return err
	}
	first, err := st.sessions(ctx)
	if err != nil {
		return err
	}
	for {
		now, err := st.sessions(ctx)
		if err == nil && now.kernel > first.kernel {
			st.kernel = &kernelPath{before: now}
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the kernel path carries nothing: %s", errors.Join(err, errors.New(st.process.Output())))
		}
		_, _ = st.get(ctx, st.targets[0]) // that they arrive was shown above
	}
}

// kernelShare is the part of the connections since then that the kernel path carried; nil without one.
func (st *stage) kernelShare(ctx context.Context) (*float64, error) {
	if st.kernel == nil {
		return nil, nil
	}
	now, err := st.sessions(ctx)
	if err != nil {
		return nil, err
	}
	kernel, userspace := now.kernel-st.kernel.before.kernel, now.userspace-st.kernel.before.userspace
	if kernel+userspace <= 0 {
		return nil, errors.New("waggle counted no session during the loads")
	}
	share := kernel / (kernel + userspace)
	return &share, nil
}

// sessions asks waggle.
func (st *stage) sessions(ctx context.Context) (sessions, error) {
	metrics, err := fetch(ctx, st.lab.Balancer.HTTPClient(), "http://127.0.0.1:8404/metrics")
	if err != nil {
		return sessions{}, err
	}
	return parseSessions(metrics)
}

// parseSessions sums over the frontends that are measured.
func parseSessions(metrics string) (s sessions, err error) {
	found := 0
	for line := range strings.Lines(metrics) {
		labels, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if !ok || !strings.HasPrefix(labels, "waggle_frontend_sessions_total{") || strings.Contains(labels, `proxy="observer"`) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return s, fmt.Errorf("metric %q: %w", line, err)
		}
		switch {
		case strings.Contains(labels, `path="kernel"`):
			s.kernel, found = s.kernel+n, found|1
		case strings.Contains(labels, `path="userspace"`):
			s.userspace, found = s.userspace+n, found|2
		}
	}
	if found != 1|2 {
		return s, errors.New("waggle does not say which path carried its sessions")
	}
	return s, nil
}
