package agent

import (
	"net"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

func TestSystemdIsTold(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	n := newNotifier()
	for _, c := range []struct {
		tell func()
		want string
	}{
		{func() { n.ready("4 frontends") }, "^READY=1\nSTATUS=4 frontends\n$"},
		{n.reloading, "^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+\n$"},
		{func() { n.stopping("softly\nnow") }, "^STOPPING=1\nSTATUS=softly now\n$"},
	} {
		c.tell()
		got := make([]byte, 256)
		l.SetReadDeadline(time.Now().Add(time.Minute))
		k, err := l.Read(got)
		if err != nil || !regexp.MustCompile(c.want).Match(got[:k]) {
			t.Errorf("%q, %v; want %q", got[:k], err, c.want)
		}
	}
	(&notifier{}).ready("nobody listens")
	(&notifier{socket: filepath.Join(t.TempDir(), "none")}).ready("nobody listens")
}
