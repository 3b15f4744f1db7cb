package runtimeapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
)

// flowReport is a flow as programs read it.
type flowReport struct {
	ID       string         `json:"id"` // as 'shutdown session' takes it
	Frontend string         `json:"frontend"`
	Backend  string         `json:"backend"`
	Server   string         `json:"server"`
	Client   netip.AddrPort `json:"client"`
	Front    netip.AddrPort `json:"front"`
	Back     netip.AddrPort `json:"back"`
	Task     netip.AddrPort `json:"task"`
	State    string         `json:"state"`
	AgeMs    int64          `json:"age_ms"`
	IdleMs   int64          `json:"idle_ms"`
	BytesIn  uint64         `json:"bytes_in"`
	BytesOut uint64         `json:"bytes_out"`
}

// flowsJSON is the answer of 'show flows … json'; more is how many found no room in it.
func flowsJSON(flows []Flow, more int) string {
	report := struct {
		Flows []flowReport `json:"flows"`
		More  int          `json:"more"`
	}{[]flowReport{}, more}
	for i := range flows {
		w := &flows[i]
		report.Flows = append(report.Flows, flowReport{
			ID: fmt.Sprintf("0x%x", w.ID), Frontend: w.Frontend, Backend: w.Backend, Server: w.Server,
			Client: w.Client, Front: w.Front, Back: w.Back, Task: w.Task, State: w.State,
			AgeMs: w.Age.Milliseconds(), IdleMs: w.Idle.Milliseconds(), BytesIn: w.BytesIn, BytesOut: w.BytesOut,
		})
	}
	return encode(report)
}

// traceJSON is the answer of 'trace … json'.
func traceJSON(client netip.AddrPort, t Trace) string {
	return encode(struct {
		Client   netip.AddrPort `json:"client"`
		Front    netip.AddrPort `json:"front"`
		Verdict  string         `json:"verdict"`
		Frontend string         `json:"frontend,omitempty"`
		Server   string         `json:"server,omitempty"`
		Why      string         `json:"why"`
	}{client, t.Front, t.Verdict, t.Frontend, t.Server, t.Why})
}

// encode puts v on one line. What the reports hold can always be encoded.
func encode(v any) string {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "Cannot print JSON: " + err.Error() + ".\n"
	}
	return out.String()
}
