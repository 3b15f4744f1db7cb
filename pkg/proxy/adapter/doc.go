// Package adapter speaks TLS with clients and servers for the event loops, which know TCP, HTTP/1 and HTTP/2 only. A
// connection gets goroutines of its own here; what it says in clear text goes through a pair of connected Unix sockets, of
// which one end belongs to an event loop like any other socket. So routing, pools, limits and counters exist once.
//
// The kernel's buffers of a pair are what is in flight: when one side does not read, the other's writes block, and so
// back-pressure reaches the peer's window.
package adapter
