package e2e

import (
	"io"
	"strings"
	"testing"

	"waggle/pkg/lab/labtest"
)

// says runs a command of waggle in the balancer's namespace.
func (b *logged) says(args ...string) (string, error) {
	b.t.Helper()
	p, err := b.Balancer.Start(labtest.Context(b.t), b.command(args...))
	if err != nil {
		b.t.Fatal(err)
	}
	<-p.Done()
	return p.Output(), p.Err()
}

func TestFlowsAreListed(t *testing.T) {
	b := startLogged(t, "tc")
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
