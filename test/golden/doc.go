// Package golden holds configurations of edges as data: a haproxy.cfg, requests, and what has to come of each. They are
// driven through waggle's engine over real sockets, and through the HAProxy of the machine, which must do the same.
package golden
