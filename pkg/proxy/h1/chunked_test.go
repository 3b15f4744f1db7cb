package h1

import (
	"strings"
	"testing"
)

var chunkedBodies = []struct {
	name, in string
	payload  string
	why      Reason
	at       int // offset of the byte that was refused
}{
	{"empty", "0\r\n\r\n", "", OK, 0},
	{"one", "5\r\nhello\r\n0\r\n\r\n", "hello", OK, 0},
	{"two", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!", OK, 0},
	{"hexadecimal in both cases", "1A\r\n" + strings.Repeat("x", 26) + "\r\n1a\r\n" + strings.Repeat("y", 26) + "\r\n0\r\n\r\n", strings.Repeat("x", 26) + strings.Repeat("y", 26), OK, 0},
	{"leading zeros", "0005\r\nhello\r\n000\r\n\r\n", "hello", OK, 0},
	{"extensions", "5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n", "hello", OK, 0},
	{"trailers", "0\r\nX-Sum: 1\r\nY:\r\n\r\n", "", OK, 0},
	{"payload that looks like framing", "9\r\n0\r\n\r\n0\r\n\r\r\n0\r\n\r\n", "0\r\n\r\n0\r\n\r", OK, 0},

	{"no size", "\r\nhello", "", BadChunkSize, 0},
	{"size in words", "five\r\n", "", BadChunkSize, 1},
	{"signed size", "+5\r\nhello\r\n", "", BadChunkSize, 0},
	{"negative size", "-1\r\n", "", BadChunkSize, 0},
	{"0x", "0x5\r\nhello\r\n", "", BadChunkSize, 1},
	{"blank before the size", " 5\r\nhello\r\n", "", BadChunkSize, 0},
	{"blank behind the size", "5 \r\nhello\r\n", "", BadChunkSize, 1},
	{"tab behind the size", "5\t;a\r\nhello\r\n", "", BadChunkSize, 1},
	{"underscore in the size", "1_0\r\n", "", BadChunkSize, 1},
	{"comma in the size", "5,5\r\n", "", BadChunkSize, 1},
	{"size beyond 2^60", "1000000000000001\r\n", "", BadChunkSize, 15},
	{"size beyond 2^64", "10000000000000005\r\nhello\r\n", "", BadChunkSize, 15 + 1},
	{"endless zeros", strings.Repeat("0", 17) + "\r\n\r\n", "", BadChunkSize, 16},
	{"bare LF behind the size", "5\nhello\r\n", "", BadChunkSize, 1},
	{"bare CR behind the size", "5\rhello\r\n", "", BareCR, 2},
	{"bare LF behind an extension", "5;a\nhello\r\n", "", BareLF, 3},
	{"bare CR in an extension", "5;a\rb\r\nhello\r\n", "", BareCR, 4},
	{"NUL in an extension", "5;\x00\r\nhello\r\n", "", BadChunkExt, 2},
	{"long extension", "5;" + strings.Repeat("a", maxChunkExt) + "\r\n", "", BadChunkExt, 1 + maxChunkExt},
	{"data too long", "5\r\nhello!\r\n", "hello", BadChunkEnd, 8},
	{"data too short", "5\r\nhell\r\n0\r\n\r\n", "hell\r", BadChunkEnd, 8},
	{"bare LF behind data", "5\r\nhello\n0\r\n\r\n", "hello", BadChunkEnd, 8},
	{"bare CR behind data", "5\r\nhello\r0\r\n\r\n", "hello", BadChunkEnd, 9},
	{"no empty line but more", "0\r\nGET / HTTP/1.1\r\n", "", SpaceBeforeColon, 6},
	{"trailer without colon", "0\r\nabc\r\n", "", NoColon, 6},
	{"trailer without name", "0\r\n: a\r\n", "", BadFieldName, 3},
	{"trailer with blank name", "0\r\nA B: a\r\n", "", SpaceBeforeColon, 4},
	{"trailer with a slash", "0\r\nA/B: a\r\n", "", BadFieldName, 4},
	{"folded trailer", "0\r\nA: a\r\n b\r\n\r\n", "", ObsFold, 9},
	{"bare LF behind a trailer", "0\r\nA: a\n\r\n", "", BareLF, 7},
	{"bare CR in a trailer", "0\r\nA: a\rb\r\n", "", BareCR, 8},
	{"NUL in a trailer", "0\r\nA: \x00\r\n", "", ControlByte, 6},
	{"bare LF at the end", "0\r\n\n", "", BareLF, 3},
	{"bare CR at the end", "0\r\n\rx", "", BareCR, 4},
	{"length in the trailer", "0\r\nContent-Length: 5\r\n\r\n", "", ForbiddenTrailer, 17},
	{"coding in the trailer", "0\r\ntransfer-encoding: chunked\r\n\r\n", "", ForbiddenTrailer, 20},
	{"host in the trailer", "0\r\nHOST: x\r\n\r\n", "", ForbiddenTrailer, 7},
	{"trailers without end", "0\r\nA: " + strings.Repeat("a", maxTrailer), "", TrailerTooLarge, 3 + maxTrailer},
}

func TestChunked(t *testing.T) {
	for _, c := range chunkedBodies {
		t.Run(c.name, func(t *testing.T) {
			const next = "GET /"
			in := []byte(c.in)
			at := c.at
			if c.why == OK {
				at = len(in)
				in = append(in, next...)
			}
			for piece := 1; piece <= len(in); piece++ {
				payload, n, done, why := inPieces(in, piece)
				if n != at || why != c.why || done != (c.why == OK) || payload != c.payload {
					t.Fatalf("in pieces of %d: payload %q, %d bytes, done %v, %v; want %q, %d, %v, %v",
						piece, payload, n, done, why, c.payload, at, c.why == OK, c.why)
				}
				if len(in) > 200 && piece > 3 {
					piece += len(in) / 5
				}
			}
			var scan Chunked
			if n, done, why := scan.Scan(in); n != at || why != c.why || done != (c.why == OK) {
				t.Errorf("Scan: %d bytes, done %v, %v", n, done, why)
			} else if scan.Payload() != int64(len(c.payload)) || scan.Done() != done {
				t.Errorf("Scan counted %d payload bytes, want %d", scan.Payload(), len(c.payload))
			}
		})
	}
}

// inPieces decodes in by AppendPayload, size bytes at a time.
func inPieces(in []byte, size int) (payload string, n int, done bool, why Reason) {
	var c Chunked
	var out []byte
	for n < len(in) && !done && why == OK {
		var used int
		out, used, done, why = c.AppendPayload(out, in[n:min(n+size, len(in))])
		n += used
	}
	return string(out), n, done, why
}

func TestChunkedSkip(t *testing.T) {
	var c Chunked
	if n, done, why := c.Scan([]byte("ff\r\nab")); n != 6 || done || why != OK {
		t.Fatal(n, done, why)
	}
	if c.Remaining() != 253 {
		t.Fatalf("%d bytes remain, want 253", c.Remaining())
	}
	c.Skip(200)
	c.Skip(53)
	if c.Remaining() != 0 || c.Payload() != 255 {
		t.Fatalf("%d remain, %d passed; want 0, 255", c.Remaining(), c.Payload())
	}
	if n, done, why := c.Scan([]byte("\r\n0\r\n\r\n")); n != 7 || !done || why != OK {
		t.Fatal(n, done, why)
	}
	if n, done, why := c.Scan([]byte("x")); n != 0 || !done || why != OK {
		t.Fatalf("behind the end: %d, %v, %v; want 0, true, OK", n, done, why)
	}
}

// Extensions may not be a multiple of what they carry, over a body of many small chunks.
func TestChunkedExtensionsAreBounded(t *testing.T) {
	var c Chunked
	chunk := []byte("1;" + strings.Repeat("a", 1000) + "\r\nx\r\n")
	for i := range 100 {
		if _, _, why := c.Scan(chunk); why != OK {
			if why != BadChunkExt || i < 10 {
				t.Fatalf("chunk %d: %v", i, why)
			}
			return
		}
	}
	t.Fatal("100 kB of extensions for 100 bytes passed")
}
