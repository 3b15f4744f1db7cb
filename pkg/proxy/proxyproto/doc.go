// Package proxyproto reads and writes the headers of the PROXY protocol, versions 1 and 2, with which a proxy in
// front tells for whom it has connected (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt). It is pure:
// bytes in, addresses out. Parsing is strict: what is not a complete, well-formed header is an error, and nothing a
// peer sends makes it look further than [MaxHeader] bytes.
package proxyproto
