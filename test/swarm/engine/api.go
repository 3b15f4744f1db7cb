package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// apiVersion is that of the oldest engine that knows cap_add for services (20.10).
const apiVersion = "v1.41"

// Task is a task of a swarm service.
type Task struct {
	State       string // "pending", "preparing", "running", "shutdown", …
	Desired     string
	Err         string
	NodeID      string
	ContainerID string
	Hostname    string       // the name its container sees; empty before there is one
	Addrs       []netip.Addr // on overlay networks
}

// Over reports whether the task has ended for good, or never began.
func (t Task) Over() bool {
	switch t.State {
	case "complete", "shutdown", "failed", "rejected", "orphaned", "remove":
		return true
	}
	return false
}

// Running reports whether the task runs, as far as the engine knows.
func (t Task) Running() bool { return t.State == "running" }

// Tasks lists all tasks of a service, also those that have ended.
func (e *Engine) Tasks(ctx context.Context, service string) ([]Task, error) {
	var answer []struct {
		DesiredState, NodeID string
		Status               struct {
			State, Err      string
			ContainerStatus struct{ ContainerID string }
		}
		NetworksAttachments []struct{ Addresses []netip.Prefix }
	}
	filter := fmt.Sprintf(`{"service":{%q:true}}`, service)
	if err := e.get(ctx, "/tasks?filters="+url.QueryEscape(filter), &answer); err != nil {
		return nil, fmt.Errorf("list tasks of %s: %w", service, err)
	}
	tasks := make([]Task, 0, len(answer))
	for _, a := range answer {
		t := Task{
			State: a.Status.State, Desired: a.DesiredState, NodeID: a.NodeID, Err: a.Status.Err,
			ContainerID: a.Status.ContainerStatus.ContainerID,
		}
		if len(t.ContainerID) >= 12 {
			t.Hostname = t.ContainerID[:12] // Docker's default, and the stacks set no other
		}
		for _, n := range a.NetworksAttachments {
			for _, p := range n.Addresses {
				t.Addrs = append(t.Addrs, p.Addr())
			}
		}
		tasks = append(tasks, t)
	}
	return tasks, nil
}

// Update is the state of the last rolling update of a service.
type Update struct {
	State     string // "updating", "completed", "paused", …; empty before the first
	Message   string
	StartedAt time.Time
}

// LastUpdate asks for the last update of a service.
func (e *Engine) LastUpdate(ctx context.Context, service string) (Update, error) {
	var answer struct{ UpdateStatus Update }
	if err := e.get(ctx, "/services/"+url.PathEscape(service), &answer); err != nil {
		return Update{}, fmt.Errorf("ask for update of %s: %w", service, err)
	}
	return answer.UpdateStatus, nil
}

// get asks the engine's API.
func (e *Engine) get(ctx context.Context, path string, answer any) error {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", e.socketPath())
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/"+apiVersion+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("engine answers %s", resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}
