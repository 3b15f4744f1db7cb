package guest

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestMain lets this binary be the job of a plan.
func TestMain(m *testing.M) {
	switch os.Getenv("GUEST_TEST") {
	case "fails":
		os.Stdout.WriteString("--- FAIL: it\nlast line without an end")
		os.Exit(3)
	case "killed":
		p, _ := os.FindProcess(os.Getpid())
		_ = p.Kill()
		select {}
	}
	os.Exit(m.Run())
}

// events runs a plan and decodes its report.
func events(t *testing.T, p Plan) []Event {
	t.Helper()
	var report bytes.Buffer
	if err := p.run(json.NewEncoder(&report)); err != nil {
		t.Fatal(err)
	}
	var all []Event
	for _, line := range strings.SplitAfter(report.String(), "\n") {
		if line == "" {
			continue
		}
		var e Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		e.Seconds = 0
		all = append(all, e)
	}
	return all
}

func TestAPlanIsRunToItsEnd(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	got := events(t, Plan{Jobs: []Job{
		{Name: "fails", Dir: "/", Argv: []string{self}, Env: []string{"GUEST_TEST=fails"}},
		{Name: "missing", Dir: "/", Argv: []string{"/nowhere/at.all"}},
		{Name: "killed", Dir: "/", Argv: []string{self}, Env: []string{"GUEST_TEST=killed"}},
		{Name: "good", Dir: "/", Argv: []string{self, "-test.run=^$"}},
	}})
	want := []Event{
		{Kernel: got[0].Kernel},
		{Job: "fails", Line: "--- FAIL: it\n"},
		{Job: "fails", Line: "last line without an end"},
		{Job: "fails", Ended: true, Exit: 3},
		{Job: "missing", Ended: true, Exit: -1, Problem: "fork/exec /nowhere/at.all: no such file or directory"},
		{Job: "killed", Ended: true, Exit: -1, Problem: "signal: killed"},
		{Job: "good", Line: "testing: warning: no tests to run\n"},
		{Job: "good", Line: "PASS\n"},
		{Job: "good", Ended: true},
		{Done: true},
	}
	if got[0].Kernel == "" {
		t.Error("the report does not begin with the kernel")
	}
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("event %d: %+v, want %+v", i, got[i], want[i])
		}
	}
}
