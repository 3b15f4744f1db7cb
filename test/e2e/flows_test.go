package e2e

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
)

// says runs a command of waggle in the balancer's namespace.
func (b *logged) says(args ...string) (string, error) {
	b.t.Helper()
	p, err := b.Balancer.Start(labtest.Context(b.t), b.command(args...))
	if err != nil {
		b.t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-time.After(patience):
		p.Kill()
		b.t.Fatalf("waggle %s has not ended within %v: %s", strings.Join(args, " "), patience, p.Output())
	}
	return p.Output(), p.Err()
}

func TestFlowsAreListed(t *testing.T) {
	b := startLogged(t, kernelMode())
	conn := b.to(8004, "echo\nhello")
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	client := conn.LocalAddr().String()
	listed, err := b.says("flows", "frontend", "checked_in", "state", "established")
	if err != nil {
		t.Fatalf("%v: %s", err, listed)
	}
	lines := strings.Split(strings.TrimSpace(listed), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "# id frontend ") {
		t.Fatalf("%q", lines)
	}
	words := strings.Fields(lines[1])
	if got, want := strings.Join(words[1:4], " "), "checked_in checked_in/three "+client; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := strings.Join(words[len(words)-2:], " "), "10 5"; got != want {
		t.Errorf("bytes %s, want %s", got, want)
	}
	if listed, err := b.says("flows", "client", "192.0.2.77"); err != nil || strings.Count(listed, "\n") != 1 {
		t.Errorf("flows of somebody else: %q, %v", listed, err)
	}
	if said, err := b.says("flows", "color", "red"); err == nil || !strings.Contains(said, "Unknown filter 'color'") {
		t.Errorf("a filter that is none: %q, %v", said, err)
	}
	// One line of `show sess` names the session that `shutdown session` ends.
	sess, err := b.runtime("show sess")
	if err != nil || !strings.Contains(sess, "src="+client) {
		t.Fatalf("show sess: %q, %v", sess, err)
	}
	id, _, _ := strings.Cut(sess, ":")
	if answer, err := b.runtime("shutdown session " + id); err != nil || strings.TrimSpace(answer) != "" {
		t.Errorf("shutdown session %s: %q, %v", id, answer, err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("the client sees %v, want a reset", err)
	}

	off := startLogged(t, "off")
	if said, err := off.says("flows"); err == nil || !strings.Contains(said, "the kernel path is off") {
		t.Errorf("without the kernel path: %q, %v", said, err)
	}
}

// waggle trace says beforehand where a connection will go, and why one stays in userspace.
func TestTrace(t *testing.T) {
	b := startLogged(t, kernelMode())
	client := b.Client.Addr().String()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{client + ":5555", "->", b.Balancer.Endpoint(8002)}, "verdict:  kernel\nfrontend: detailed_in\nserver:   raw/one (" + b.task.Endpoint().String() + ")\n"},
		{[]string{client, "checked_in"}, "verdict:  kernel\nfrontend: checked_in\n"},
		{[]string{client, b.Balancer.Endpoint(8404)}, "verdict:  neither\nwhy:      No frontend of the kernel path"},
	} {
		said, err := b.says(append([]string{"trace"}, tt.args...)...)
		if err != nil || !strings.Contains(said, tt.want) {
			t.Errorf("trace %v: %v\n%s\nwant\n%s", tt.args, err, said, tt.want)
		}
	}
	for args, want := range map[string]string{"metrics": "frontend metrics is not the kernel's: mode http", "nobody": "there is no frontend"} {
		if said, err := b.says("trace", client, args); err == nil || !strings.Contains(said, want) {
			t.Errorf("trace to %s: %q, %v", args, said, err)
		}
	}
	if answer, err := b.runtime("disable server raw/one"); err != nil || strings.TrimSpace(answer) != "" {
		t.Fatalf("%q, %v", answer, err)
	}
	b.eventually("the reason is given", func() error {
		said, err := b.says("trace", client, "detailed_in")
		if err == nil && !strings.Contains(said, "verdict:  userspace\nfrontend: detailed_in\nwhy:      no_server: A SYN for a service") {
			err = errors.New(said)
		}
		return err
	})
	if n := b.metric("waggle_datapath_verdicts_total", `reason="no_server"`); n != 0 {
		t.Errorf("tracing was counted %v times", n)
	}
}
