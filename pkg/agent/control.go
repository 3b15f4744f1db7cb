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
	return listenTrusting(healthSocket + controlSuffix)
}

// listenTrusting listens on an abstract Unix socket for root and the user that this process runs as.
func listenTrusting(name string) (net.Listener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
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

// dialOwn connects to an abstract Unix socket of waggle's. Anybody in the network namespace can have its name, and can fill its queue;
// so who listens must be root, the same user, or run the same program, and a full queue is waited for.
func dialOwn(ctx context.Context, name string) (net.Conn, error) {
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "unix", name)
		switch {
		case errors.Is(err, unix.EAGAIN) && ctx.Err() == nil:
			time.Sleep(fullQueuePause)
			continue
		case err != nil:
			return nil, fmt.Errorf("no waggle answers on %s: %w", name, err)
		}
		if err := isOwn(conn.(*net.UnixConn)); err != nil {
			conn.Close()
			return nil, fmt.Errorf("who answers on %s is no waggle: %w", name, err)
		}
		return conn, nil
	}
}

// fullQueuePause is how long dialOwn waits for a listener to take others in.
const fullQueuePause = 10 * time.Millisecond

// isOwn is an error unless the listener at the other end is root's, this user's, or this program.
func isOwn(conn *net.UnixConn) error {
	cred, err := peerOf(conn)
	if err != nil {
		return err
	}
	if cred.Uid == 0 || int(cred.Uid) == os.Geteuid() {
		return nil
	}
	theirs, err := os.Stat(fmt.Sprintf("/proc/%d/exe", cred.Pid))
	if err != nil {
		return fmt.Errorf("a process of user %d: %w", cred.Uid, err)
	}
	ours, err := os.Stat("/proc/self/exe")
	if err != nil {
		return err
	}
	if !os.SameFile(theirs, ours) {
		return fmt.Errorf("process %d of user %d runs another program", cred.Pid, cred.Uid)
	}
	return nil
}

// peer is the user at the other end, as the kernel knows it.
func peer(conn *net.UnixConn) (uid uint32, err error) {
	cred, err := peerOf(conn)
	if err != nil {
		return 0, err
	}
	return cred.Uid, nil
}

// peerOf is the process at the other end when it connected or began to listen.
func peerOf(conn *net.UnixConn) (cred *unix.Ucred, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	controlErr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return cred, errors.Join(controlErr, err)
}

// Ask has the waggle of this network namespace, found by the name of its health socket, run one command of the Runtime
// API, and copies the answer to out.
func Ask(ctx context.Context, healthSocket, command string, out io.Writer) error {
	conn, err := dialOwn(ctx, healthSocket+controlSuffix)
	if err != nil {
		return err
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
