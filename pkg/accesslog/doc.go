// Package accesslog writes the log lines that HAProxy's users parse: one for each session or request, in the
// formats of `option httplog`, `option tcplog` and neither, and one for each change of a server's state, to
// syslog, to a file descriptor, or to several targets at once.
//
// Nothing here makes traffic wait. An event loop formats its line into a bounded queue, and one goroutine a
// [Logger] adds what each target wants in front and writes it; when the queue is full, lines are dropped and
// counted. What a peer sent is escaped as HAProxy does (#XX), so no request can forge a line.
package accesslog
