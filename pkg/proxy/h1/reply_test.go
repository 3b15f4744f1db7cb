package h1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What HAProxy 2.6.12 was seen to send: title, content-length and sentence of each status.
var haproxyErrors = []struct {
	status int
	title  string
	length int
	text   string
}{
	{200, "OK", 58, "Service ready."},
	{400, "Bad request", 90, "Your browser sent an invalid request."},
	{401, "Unauthorized", 112, "You need a valid user and password to access this content."},
	{403, "Forbidden", 93, "Request forbidden by administrative rules."},
	{404, "Not Found", 83, "The resource could not be found."},
	{405, "Method Not Allowed", 146, "A request was made of a resource using a request method not supported by that resource"},
	{407, "Unauthorized", 112, "You need a valid user and password to access this content."},
	{408, "Request Time-out", 110, "Your browser didn't send a complete request in time."},
	{410, "Gone", 114, "The resource is no longer available and will not be available again."},
	{413, "Payload Too Large", 106, "The request entity exceeds the maximum allowed."},
	{421, "Misdirected Request", 104, "Request sent to a non-authoritative server."},
	{422, "Unprocessable Content", 116, "The server cannot process the contained instructions."},
	{425, "Too Early", 80, "Your browser sent early data."},
	{429, "Too Many Requests", 117, "You have sent too many requests in a given amount of time."},
	{500, "Internal Server Error", 97, "An internal server error occurred."},
	{501, "Not Implemented", 136, ".The server does not support the functionality required to fulfill the request."},
	{502, "Bad Gateway", 107, "The server returned an invalid or incomplete response."},
	{503, "Service Unavailable", 107, "No server is available to handle this request."},
	{504, "Gateway Time-out", 92, "The server didn't respond in time."},
}

func TestErrors(t *testing.T) {
	for _, c := range haproxyErrors {
		want := fmt.Sprintf("HTTP/1.1 %d %s\r\ncontent-length: %d\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n"+
			"connection: close\r\n\r\n<html><body><h1>%d %s</h1>\n%s\n</body></html>\n",
			c.status, c.title, c.length, c.status, c.title, c.text)
		got := string(AppendError(nil, c.status, Reply{Minor: 1}))
		if got != want {
			t.Errorf("%d:\ngot  %q\nwant %q", c.status, got, want)
		}
	}
}

func TestReplyForms(t *testing.T) {
	body := []byte("body")
	for _, c := range []struct{ got, want string }{
		{
			string(AppendReply(nil, 200, "text/plain", "refresh: 15\r\n", body, Reply{Minor: 1, KeepAlive: true})),
			"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nrefresh: 15\r\ncontent-type: text/plain\r\n\r\nbody",
		},
		{
			string(AppendReply(nil, 200, "", "", body, Reply{KeepAlive: true, NoBody: true})),
			"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: keep-alive\r\n\r\n",
		},
		{
			string(AppendReply(nil, 204, "", "", body, Reply{Minor: 1})),
			"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
		},
		{
			string(AppendRedirect(nil, 302, []byte("/a b\r\n\"<>"), Reply{Minor: 1, KeepAlive: true})),
			"HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: /a%20b%0D%0A\"<>\r\ncache-control: no-cache\r\n\r\n",
		},
		{
			string(AppendRedirect(nil, 301, []byte("/x"), Reply{})),
			"HTTP/1.1 301 Moved Permanently\r\ncontent-length: 0\r\nlocation: /x\r\nconnection: close\r\n\r\n",
		},
	} {
		if c.got != c.want {
			t.Errorf("got  %q\nwant %q", c.got, c.want)
		}
	}
}

// Every reply, of known and unknown statuses, is one that both parsers read to its end.
func TestRepliesAreWellFormed(t *testing.T) {
	for status := 200; status < 600; status++ {
		out := AppendError(nil, status, Reply{Minor: 1, KeepAlive: true})
		if status == 204 || status == 304 {
			continue // no body is allowed; AppendError is not for these
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), nil)
		if err != nil {
			t.Fatalf("%d: %v", status, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || !strings.HasSuffix(string(body), "</html>\n") || int64(len(body)) != resp.ContentLength {
			t.Fatalf("%d: body %q, %v", status, body, err)
		}
		var r Response
		n, why := r.Parse(out, Asked{})
		if why != OK || r.Status != status || n+int(r.ContentLength) != len(out) || !r.KeepAlive {
			t.Fatalf("%d: our own parser: %d bytes and %d of body of %d, %v", status, n, r.ContentLength, len(out), why)
		}
	}
}
