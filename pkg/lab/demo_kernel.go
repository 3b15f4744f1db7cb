package lab

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// kernelVerdict says whether the n TCP connections of a round went through the kernel path, by the balancer's
// own count. The count may lag behind a little.
func (d *demo) kernelVerdict(ctx context.Context, before string, n int) string {
	start, ok := d.opts.KernelSessions(before)
	if !ok {
		return "kernel path: unknown, since the balancer's /metrics does not count its sessions"
	}
	mode := ""
	if m := datapathMode(before); m != "" {
		mode = " (datapath " + m + ")"
	}
	var taken int
	for range 20 {
		after, err := d.metrics(ctx)
		if now, ok := d.opts.KernelSessions(after); err == nil && ok {
			taken = int(now - start)
		}
		if taken >= n {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	switch {
	case taken >= n:
		return fmt.Sprintf("kernel path%s: yes, all %d connections were carried by eBPF", mode, n)
	case taken > 0:
		return fmt.Sprintf("kernel path%s: in part, %d of %d connections were carried by eBPF", mode, taken, n)
	}
	return fmt.Sprintf("kernel path%s: no, the %d connections went through userspace%s", mode, n, d.warnings())
}

// warnings are lines of the balancer's log that say why the kernel path does not work.
func (d *demo) warnings() string {
	const most = 3
	var found []string
	for line := range strings.Lines(d.balancer.Output()) {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, "userspace path") && len(found) < most {
			found = append(found, "\n    "+strings.TrimSpace(line))
		}
	}
	return strings.Join(found, "")
}

// metrics fetches the balancer's /metrics.
func (d *demo) metrics(ctx context.Context) (string, error) {
	status, body, err := d.get(ctx, "http://"+d.stats.Addr().String()+"/metrics")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("metrics: status %d", status)
	}
	if err != nil {
		return "", err
	}
	return body, nil
}

// kernelSessions is the default of DemoOptions.KernelSessions: pkg/stats counts sessions by frontend and path.
func kernelSessions(metrics string) (total float64, ok bool) {
	eachSample(metrics, func(name, labels string, value float64) {
		if name == "waggle_frontend_sessions_total" && label(labels, "path") == "kernel" && label(labels, "proxy") == tcpProxy {
			total += value
			ok = true
		}
	})
	return total, ok
}

// tcpProxy is the name of the TCP frontend in embed/extra.cfg.
const tcpProxy = "tcp_in"

// datapathMode is the mode for which waggle_datapath_mode is 1, empty if there is none.
func datapathMode(metrics string) (mode string) {
	eachSample(metrics, func(name, labels string, value float64) {
		if name == "waggle_datapath_mode" && value == 1 {
			mode = label(labels, "mode")
		}
	})
	return mode
}

// label is the value of a label, without undoing escapes.
func label(labels, name string) string {
	_, rest, ok := strings.Cut(","+labels, ","+name+`="`)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// eachSample calls fn with each sample of Prometheus's text format that it understands.
func eachSample(metrics string, fn func(name, labels string, value float64)) {
	lines := bufio.NewScanner(strings.NewReader(metrics))
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		labels := ""
		end := strings.IndexAny(line, "{ ")
		if end < 0 {
			continue
		}
		name, rest := line[:end], line[end:]
		if rest[0] == '{' {
			closing := strings.LastIndexByte(rest, '}')
			if closing < 0 {
				continue
			}
			labels, rest = rest[1:closing], rest[closing+1:]
		}
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		if value, err := strconv.ParseFloat(fields[0], 64); err == nil {
			fn(name, labels, value)
		}
	}
}
