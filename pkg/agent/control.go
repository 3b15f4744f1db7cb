package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// controlSuffix makes the name of the control socket from that of the health check's.
const controlSuffix = "-control"

// listenControl opens the socket of `waggle flows` and `waggle trace`: the Runtime API on an abstract Unix socket, so that
// they work whatever the configuration says about stats sockets, and need no privileges on the kernel path themselves.
// An abstract name has no file mode; who connects must be root or the user that waggle runs as.
func listenControl(healthSocket string) (net.Listener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: healthSocket + controlSuffix, Net: "unix"})
	if err != nil {
		return nil, err
	}
	return &trusting{UnixListener: l, uid: uint32(os.Geteuid())}, nil
}

// trusting accepts connections of root and of one user.
type trusting struct {
	*net.UnixListener
	uid uint32
}

// Accept waits for the next connection that may come in; others are closed.
func (l *trusting) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if uid, err := peer(conn); err == nil && (uid == 0 || uid == l.uid) {
			return conn, nil
		}
		conn.Close()
	}
}

// peer is the user at the other end, as the kernel knows it.
func peer(conn *net.UnixConn) (uid uint32, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	controlErr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(controlErr, err); err != nil {
		return 0, err
	}
	return cred.Uid, nil
}

// Ask has the waggle of this network namespace, found by the name of its health socket, run one command of the Runtime
// API, and copies the answer to out.
func Ask(ctx context.Context, healthSocket, command string, out io.Writer) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", healthSocket+controlSuffix)
	if err != nil {
		return fmt.Errorf("no waggle answers on %s: %w", healthSocket+controlSuffix, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := fmt.Fprintln(conn, command); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	n, err := io.Copy(out, conn)
	switch {
	case err != nil:
		return fmt.Errorf("read answer: %w", err)
	case n == 0:
		return errors.New("waggle does not talk to this user: be root, or the user that it runs as")
	}
	return nil
}
