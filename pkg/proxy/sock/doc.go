// Package sock is the thin layer of system calls under the event loops: non-blocking TCP sockets, pipes
// and splice(2), as file descriptors that never enter Go's network poller.
//
// Calls that cannot block are raw system calls, which do not tell the scheduler; what may take longer
// (splice, close) goes through the ordinary kind, so that it never stalls the garbage collector. Errors of
// the hot calls are errnos, 0 for none, since an error interface would have to be compared anyway.
package sock
