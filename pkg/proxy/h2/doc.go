// Package h2 is the HTTP/2 codec of an event loop: frames (RFC 9113), the compression of fields (HPACK, RFC 7541), and what
// turns a request of HTTP/2 into the head of one of HTTP/1.1 and a response of that back into fields.
//
// It does no I/O and keeps no goroutine. What is read is looked at where it lies; what is written is appended to the caller's
// bytes; nothing allocates once a connection's table has grown. No value is safe for concurrent use.
//
// Our own side of a connection never uses the dynamic table of HPACK: its fields are literals, with names of the static
// table where that has them. That takes some 100 bytes more for a small response and no memory or search for each connection.
package h2
