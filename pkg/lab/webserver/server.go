// Package webserver is the web server of the lab's tasks. It answers every path with its name, as the seed's
// simple_web.py does, and a few paths with what tests need:
//
//	/bytes/N      N bytes of package pattern, with Content-Length
//	/stream/N     the same without Content-Length: chunked in HTTP/1.1, until close in HTTP/1.0
//	/echo         the request's body
//	/slow/MS      the name, after MS milliseconds
//	/status/CODE  the name, with this status
//	/headers      the request as this server got it: request line, Host, and header fields sorted by name
package webserver

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"waggle/pkg/lab/pattern"
)

// Handler answers as server name. It takes paths as they come: none is cleaned or redirected.
func Handler(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		action, argument, numbered := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch {
		case action == "echo" && !numbered:
			echo(w, r)
		case action == "headers" && !numbered:
			showRequest(w, r)
		case numbered && slices.Contains([]string{"bytes", "stream", "slow", "status"}, action):
			n, err := strconv.ParseInt(argument, 10, 64)
			if err != nil || n < 0 || n > maxNumber {
				http.Error(w, "the path ends with a number", http.StatusBadRequest)
				return
			}
			obey(w, r, name, action, n)
		default:
			hello(w, name)
		}
	})
}

const maxNumber = 1 << 40

func hello(w io.Writer, name string) { fmt.Fprintf(w, "hostname: %s", name) }

// obey answers a path with a number. Errors of writing are the client's, who may go at any time.
func obey(w http.ResponseWriter, r *http.Request, name, action string, n int64) {
	switch action {
	case "bytes":
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		_, _ = io.Copy(w, pattern.Reader(n))
	case "stream":
		w.Header().Set("Content-Type", "application/octet-stream")
		_ = http.NewResponseController(w).Flush() // else a short body would get a Content-Length
		_, _ = io.Copy(w, pattern.Reader(n))
	case "slow":
		select {
		case <-time.After(time.Duration(n) * time.Millisecond):
			hello(w, name)
		case <-r.Context().Done():
		}
	case "status":
		if n < 200 || n > 599 {
			http.Error(w, "status must be 200 to 599", http.StatusBadRequest)
			return
		}
		w.WriteHeader(int(n))
		hello(w, name)
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	if r.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	_ = http.NewResponseController(w).EnableFullDuplex() // the HTTP/1.0 writer has it anyway
	_, _ = io.Copy(w, r.Body)
}

func showRequest(w http.ResponseWriter, r *http.Request) {
	var lines []string
	for name, values := range r.Header {
		for _, v := range values {
			lines = append(lines, name+": "+v)
		}
	}
	slices.Sort(lines)
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintf(w, "%s %s %s\nHost: %s\n%s\n", r.Method, r.RequestURI, r.Proto, r.Host, strings.Join(lines, "\n"))
}
