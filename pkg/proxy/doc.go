// Package proxy is the userspace path: the HTTP/1 engine and the TCP relay behind every frontend's
// listening socket.
//
// An [Engine] runs one event loop a core, all of which accept from one socket for each address. Each loop owns its client
// sessions, pools of idle server connections, buffers and pipes, so nothing on the path of a request takes a lock; what loops share (balancing, limits, queues, counters) is in package pool. There is no goroutine
// for a connection, and no socket enters Go's network poller.
//
// A [session] is a client connection with what it is doing now. It moves through the phases of [phase];
// every event of its two sockets and every timer ends in [session.advance], which does what can be done
// until nothing can. Bytes wait in at most one buffer of tune.bufsize for each side and direction: when a
// reader is slow, its writer's socket is not read.
package proxy
