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

// Handler answers as server name.
func Handler(name string) http.Handler {
	mux := http.NewServeMux()
	hello := func(w http.ResponseWriter) { fmt.Fprintf(w, "hostname: %s", name) }
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { hello(w) })
	mux.HandleFunc("/bytes/{n}", numbered(func(w http.ResponseWriter, _ *http.Request, n int64) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		_, _ = io.Copy(w, pattern.Reader(n)) // the client may go
	}))
	mux.HandleFunc("/stream/{n}", numbered(func(w http.ResponseWriter, _ *http.Request, n int64) {
		w.Header().Set("Content-Type", "application/octet-stream")
		if f, ok := w.(http.Flusher); ok {
			f.Flush() // a short body would get a Content-Length else
		}
		_, _ = io.Copy(w, pattern.Reader(n))
	}))
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		if r.ContentLength >= 0 {
			w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
		}
		_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/1.0 writer: not needed
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("/slow/{n}", numbered(func(w http.ResponseWriter, r *http.Request, ms int64) {
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
			hello(w)
		case <-r.Context().Done():
		}
	}))
	mux.HandleFunc("/status/{n}", numbered(func(w http.ResponseWriter, _ *http.Request, code int64) {
		if code < 200 || code > 599 {
			http.Error(w, "status must be 200 to 599", http.StatusBadRequest)
			return
		}
		w.WriteHeader(int(code))
		hello(w)
	}))
	mux.HandleFunc("/headers", showRequest)
	return mux
}

// numbered reads the path's number, at most 1 Ti.
func numbered(serve func(http.ResponseWriter, *http.Request, int64)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
		if err != nil || n < 0 || n > 1<<40 {
			http.Error(w, "the path ends with a number", http.StatusBadRequest)
			return
		}
		serve(w, r, n)
	}
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
