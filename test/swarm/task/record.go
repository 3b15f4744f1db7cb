package main

import (
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"waggle/test/swarm/drive/late"
)

// reportDir is where the test mounts a directory for the records of tasks that ended. Without it none is written.
const reportDir = "/reports"

// record is what reached a task after its SIGTERM.
type record struct {
	stopping atomic.Bool

	mu   sync.Mutex
	data late.Record
}

func newRecord(host string) *record { return &record{data: late.Record{Host: host}} }

// terminated notes the moment of the SIGTERM.
func (r *record) terminated() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data.Terminated = time.Now()
	r.stopping.Store(true)
}

// arrival notes something from a peer, if the task is stopping. The container itself is no peer.
func (r *record) arrival(remote string, kind late.Kind) {
	if !r.stopping.Load() {
		return
	}
	peer, err := netip.ParseAddrPort(remote)
	if err != nil || peer.Addr().Unmap().IsLoopback() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.data.Arrivals) < late.MostArrivals {
		r.data.Arrivals = append(r.data.Arrivals, late.Arrival{At: time.Now(), From: peer.Addr().Unmap(), Kind: kind})
	}
}

func (r *record) request(remote string) { r.arrival(remote, late.Request) }

// write leaves the record in a directory, whole or not at all.
func (r *record) write(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data.Ended = time.Now()
	content, err := json.Marshal(r.data)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, r.data.Host+late.Suffix)
	if err := os.WriteFile(path+".part", content, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

// watch notes connections that are accepted after SIGTERM when their first byte comes: a connection without one
// is a balancer's check.
func (r *record) watch(l net.Listener) net.Listener { return &watched{Listener: l, record: r} }

type watched struct {
	net.Listener
	record *record
}

// Accept implements [net.Listener].
func (w *watched) Accept() (net.Conn, error) {
	conn, err := w.Listener.Accept()
	if err != nil || !w.record.stopping.Load() {
		return conn, err
	}
	w.record.arrival(conn.RemoteAddr().String(), late.Opened)
	return &lateConn{Conn: conn, record: w.record}, nil
}

// lateConn is a connection that was accepted after SIGTERM.
type lateConn struct {
	net.Conn
	record *record
	spoke  bool // touched by the one goroutine that reads
}

// Read implements [net.Conn].
func (c *lateConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.spoke {
		c.spoke = true
		c.record.arrival(c.RemoteAddr().String(), late.Connection)
	}
	return n, err
}
