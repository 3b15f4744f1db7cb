package h1

import (
	"bytes"
	"testing"
)

// indexControl looks at words of eight bytes; each byte value at each place must be found, and nothing else.
func TestIndexControl(t *testing.T) {
	for size := range 20 {
		for at := range size {
			for c := range 256 {
				for _, fill := range []byte{'a', ' ', '\t', 0x80, 0xff} {
					b := bytes.Repeat([]byte{fill}, size)
					b[at] = byte(c)
					want := -1
					if c < ' ' && c != '\t' || c == 0x7f {
						want = at
					}
					if got := indexControl(b); got != want {
						t.Fatalf("indexControl(%q) = %d, want %d", b, got, want)
					}
				}
			}
		}
	}
}

func TestIdentify(t *testing.T) {
	for name, id := range map[string]fieldID{
		"host": idHost, "Connection": idConnection, "CONTENT-LENGTH": idContentLength,
		"Transfer-encoding": idTransferEncoding, "expect": idExpect, "Upgrade": idUpgrade,
		"Keep-Alive": idKeepAlive, "proxy-connection": idProxyConnection, "TE": idTE, "trailer": idTrailer,
		"HTTP2-Settings": idHTTP2Settings,
		"hosts":          idOther, "cookie": idOther, "x-forward": idOther, "user-agent": idOther, "": idOther,
		"content_length": idOther, "transfer_encoding": idOther, "upgrad3": idOther,
	} {
		if got := identify([]byte(name)); got != id {
			t.Errorf("identify(%q) = %d, want %d", name, got, id)
		}
	}
}
