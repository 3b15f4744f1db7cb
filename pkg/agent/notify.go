package agent

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// notifier tells systemd how the process stands (sd_notify(3)): one datagram for each change. Without a socket to tell, as
// anywhere but under a unit of Type=notify or notify-reload, it does nothing.
type notifier struct{ socket string }

// newNotifier reads where to, and takes it from what children would inherit.
func newNotifier() *notifier {
	n := &notifier{socket: os.Getenv("NOTIFY_SOCKET")}
	_ = os.Unsetenv("NOTIFY_SOCKET") // fails for names that are none
	if strings.HasPrefix(n.socket, "@") {
		n.socket = "\x00" + n.socket[1:]
	}
	return n
}

func (n *notifier) ready(status string) { n.send("READY=1", "STATUS="+status) }
func (n *notifier) stopping(why string) { n.send("STOPPING=1", "STATUS="+why) }

// reloading must be followed by ready, also when the reload has failed: systemd waits for it.
func (n *notifier) reloading() {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	n.send("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/int64(time.Microsecond)))
}

// send is best effort: that nobody listens is no reason not to balance.
func (n *notifier) send(lines ...string) {
	if n.socket == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(line, "\n", " ")
	}
	_, _ = conn.Write([]byte(strings.Join(lines, "\n") + "\n"))
}
