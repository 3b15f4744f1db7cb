package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// minResponses is the least number of responses that a round shows for a path.
const minResponses = 12

// readyTimeout bounds how long the balancer may take to follow a change. HAProxy holds a server for `hold nx`,
// 10 s in the seed's configuration, after the last task has gone.
const readyTimeout = 30 * time.Second

// path is one way to the tasks.
type path struct {
	title string
	addr  net.Addr
}

func (d *demo) paths() []path {
	return []path{
		{"HTTP path: mode http, each request routed in userspace", d.http.Addr()},
		{"TCP path: mode tcp, each connection balanced in the kernel where that is possible", d.tcp.Addr()},
	}
}

// show waits until the balancer serves the tasks that there are, and shows a round on each path. With Once
// what is wrong with the round is an error; else it is shown.
func (d *demo) show(ctx context.Context) error {
	names := d.taskNames()
	for _, p := range d.paths() {
		if err := d.await(ctx, p, names); err != nil {
			return err
		}
	}
	err := d.round(ctx, names)
	if err == nil || d.opts.Once || ctx.Err() != nil {
		return err
	}
	d.out.problem(err)
	return nil
}

func (d *demo) taskNames() []string {
	var names []string
	for _, t := range d.lab.Tasks(demoService) {
		names = append(names, t.Name())
	}
	return names
}

// await asks until a whole cycle of responses comes from exactly as many tasks as there are slots for, and
// only from tasks in names; where there is no task, until the balancer gives none of their responses.
func (d *demo) await(ctx context.Context, p path, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	served := min(len(names), demoSlots)
	for {
		got, err := d.collect(ctx, p, max(1, 2*served))
		if settled(got, err, names, served) {
			return nil
		}
		select {
		case <-d.balancer.Done():
			return d.balancerEnded()
		case <-ctx.Done():
			return fmt.Errorf("the balancer does not serve %s on %s: responses %v, last error %v%s",
				describe(names), p.addr, got, err, d.balancer.output.suffix())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

var errBalancerEnded = errors.New("the balancer ended")

func (d *demo) balancerEnded() error {
	return fmt.Errorf("%w: %v%s", errBalancerEnded, d.balancer.Err(), d.balancer.output.suffix())
}

func settled(got []string, err error, names []string, served int) bool {
	if served == 0 {
		return err != nil && len(got) == 0
	}
	if err != nil {
		return false
	}
	distinct := make(map[string]bool)
	for _, name := range got {
		if !slices.Contains(names, name) {
			return false
		}
		distinct[name] = true
	}
	return len(distinct) == served
}

func describe(names []string) string {
	if len(names) == 0 {
		return "an empty service"
	}
	return strings.Join(names, ", ")
}

// round shows one round of responses on each path, whether the kernel carried the TCP connections, and the
// stats page. The error joins all that is not as it should be.
func (d *demo) round(ctx context.Context, names []string) error {
	served := min(len(names), demoSlots)
	var errs []error
	for i, p := range d.paths() {
		d.out.path(p)
		if served == 0 {
			_, err := d.collect(ctx, p, 1)
			d.out.noTask(err)
			continue
		}
		n := (minResponses + served - 1) / served * served
		before, _ := d.metrics(ctx)
		got, err := d.collect(ctx, p, n)
		shares := count(got)
		d.out.responses(got, shares)
		errs = append(errs, err, equal(shares, served, n))
		if i == 1 {
			d.out.line("  %s", d.kernelVerdict(ctx, before, n))
		}
	}
	status, err := d.statsPage(ctx)
	d.out.page(d.http.Addr(), d.stats.Addr(), status, err)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the stats page answered %d", status)
	}
	return errors.Join(append(errs, err)...)
}

// share is how many responses one task gave.
type share struct {
	name  string
	count int
}

func count(names []string) []share {
	var shares []share
	for _, name := range slices.Sorted(slices.Values(names)) {
		if len(shares) == 0 || shares[len(shares)-1].name != name {
			shares = append(shares, share{name: name})
		}
		shares[len(shares)-1].count++
	}
	return shares
}

func equal(shares []share, served, total int) error {
	for _, s := range shares {
		if s.count*served != total {
			return fmt.Errorf("shares are not equal: %s gave %d of %d responses, with %d tasks in use", s.name, s.count, total, served)
		}
	}
	if len(shares) != served {
		return fmt.Errorf("shares are not equal: %d of %d tasks answered", len(shares), served)
	}
	return nil
}

// collect makes n requests, each on a connection of its own, and returns the hostnames in the responses up to
// the first error.
func (d *demo) collect(ctx context.Context, p path, n int) ([]string, error) {
	var names []string
	for range n {
		status, body, err := d.get(ctx, "http://"+p.addr.String()+"/")
		if err != nil {
			return names, err
		}
		if status != http.StatusOK {
			return names, fmt.Errorf("status %d", status)
		}
		name, ok := strings.CutPrefix(strings.TrimSpace(body), "hostname: ")
		if !ok {
			return names, fmt.Errorf("no hostname in %.40q", body)
		}
		names = append(names, name)
	}
	return names, nil
}

func (d *demo) statsPage(ctx context.Context) (int, error) {
	status, _, err := d.get(ctx, "http://"+d.http.Addr().String()+"/my-stats")
	return status, err
}

// requestTimeout bounds one request of the demo.
const requestTimeout = 5 * time.Second

func (d *demo) get(ctx context.Context, url string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	transport := &http.Transport{DisableKeepAlives: true} // no proxy of the environment
	resp, err := transport.RoundTrip(request)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	return resp.StatusCode, string(text), err
}
