package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
)

// apiVersion is that of the oldest engine that knows cap_add for services (20.10).
const apiVersion = "v1.41"

// Task is a task of a swarm service.
type Task struct {
	State       string // "pending", "preparing", "running", "shutdown", …
	Desired     string
	Err         string
	ContainerID string
	Hostname    string       // the name its container sees; empty before there is one
	Addrs       []netip.Addr // on overlay networks
}

// Running reports whether the task runs, as far as the engine knows.
func (t Task) Running() bool { return t.State == "running" }

// Tasks lists all tasks of a service, also those that have ended.
func (e *Engine) Tasks(ctx context.Context, service string) ([]Task, error) {
	var answer []struct {
		DesiredState string
		Status       struct {
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
			State: a.Status.State, Desired: a.DesiredState, Err: a.Status.Err,
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
