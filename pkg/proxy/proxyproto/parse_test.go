package proxyproto

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"
)

var (
	client = netip.MustParseAddrPort("192.0.2.1:1000")
	front  = netip.MustParseAddrPort("198.51.100.2:80")
	six    = netip.MustParseAddrPort("[2001:db8::1]:443")
)

func v2(command, family byte, rest string) string {
	return v2Signature + string([]byte{command, family, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

const v4Rest = "\xc0\x00\x02\x01\xc6\x33\x64\x02\x03\xe8\x00\x50"

func TestParse(t *testing.T) {
	told := Header{Src: client, Dst: front}
	local := Header{Local: true}
	unix := strings.Repeat("/", 216)
	for _, tc := range []struct {
		name, in string
		want     Header
		err      error
	}{
		{"v1 IPv4", "PROXY TCP4 192.0.2.1 198.51.100.2 1000 80\r\n", told, nil},
		{"v1 IPv6", "PROXY TCP6 2001:db8::1 2001:db8::1 443 443\r\n", Header{Src: six, Dst: six}, nil},
		{"v1 unknown", "PROXY UNKNOWN\r\n", local, nil},
		{"v1 unknown with text", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", local, nil},
		{"v1 highest port", "PROXY TCP4 192.0.2.1 198.51.100.2 65535 0\r\n", Header{Src: netip.AddrPortFrom(client.Addr(), 65535), Dst: netip.AddrPortFrom(front.Addr(), 0)}, nil},
		{"v1 port too high", "PROXY TCP4 192.0.2.1 198.51.100.2 65536 80\r\n", Header{}, ErrMalformed},
		{"v1 port with sign", "PROXY TCP4 192.0.2.1 198.51.100.2 +100 80\r\n", Header{}, ErrMalformed},
		{"v1 port with zero", "PROXY TCP4 192.0.2.1 198.51.100.2 0100 80\r\n", Header{}, ErrMalformed},
		{"v1 no port", "PROXY TCP4 192.0.2.1 198.51.100.2 1000\r\n", Header{}, ErrMalformed},
		{"v1 empty port", "PROXY TCP4 192.0.2.1 198.51.100.2 1000 \r\n", Header{}, ErrMalformed},
		{"v1 more", "PROXY TCP4 192.0.2.1 198.51.100.2 1000 80 x\r\n", Header{}, ErrMalformed},
		{"v1 two spaces", "PROXY TCP4  192.0.2.1 198.51.100.2 1000 80\r\n", Header{}, ErrMalformed},
		{"v1 tab", "PROXY TCP4\t192.0.2.1 198.51.100.2 1000 80\r\n", Header{}, ErrMalformed},
		{"v1 wrong family", "PROXY TCP4 2001:db8::1 2001:db8::1 443 443\r\n", Header{}, ErrMalformed},
		{"v1 mixed families", "PROXY TCP6 2001:db8::1 192.0.2.1 443 443\r\n", Header{}, ErrMalformed},
		{"v1 UDP", "PROXY UDP4 192.0.2.1 198.51.100.2 1000 80\r\n", Header{}, ErrMalformed},
		{"v1 zone", "PROXY TCP6 fe80::1%eth0 2001:db8::1 443 443\r\n", Header{}, ErrMalformed},
		{"v1 octal address", "PROXY TCP4 192.0.02.1 198.51.100.2 1000 80\r\n", Header{}, ErrMalformed},
		{"v1 LF only", "PROXY TCP4 192.0.2.1 198.51.100.2 1000 80\n", Header{}, ErrMalformed},
		{"v1 CR inside", "PROXY UNKNOWN\rx\r\n", Header{}, ErrMalformed},
		{"v1 nothing", "PROXY \r\n", Header{}, ErrMalformed},
		{"v1 without end", "PROXY UNKNOWN " + strings.Repeat("x", 120), Header{}, ErrTooLarge},
		{"lower case", "proxy TCP4 192.0.2.1 198.51.100.2 1000 80\r\n", Header{}, ErrMissing},
		{"a request", "GET / HTTP/1.1\r\n", Header{}, ErrMissing},
		{"an empty line", "\r\n\r\nGET", Header{}, ErrMissing},
		{"v2 IPv4", v2(v2Proxy, v2TCP4, v4Rest), told, nil},
		{"v2 local", v2(v2Local, 0, ""), local, nil},
		{"v2 local with addresses", v2(v2Local, v2TCP4, v4Rest), local, nil},
		{"v2 unspecified", v2(v2Proxy, 0, "anything"), local, nil},
		{"v2 UDP", v2(v2Proxy, 0x12, v4Rest), local, nil},
		{"v2 UNIX", v2(v2Proxy, 0x31, unix), local, nil},
		{"v2 with a field", v2(v2Proxy, v2TCP4, v4Rest+"\x04\x00\x02ab"), told, nil},
		{"v2 with a cut field", v2(v2Proxy, v2TCP4, v4Rest+"\x04\x00\x03ab"), Header{}, ErrMalformed},
		{"v2 with half a field", v2(v2Proxy, v2TCP4, v4Rest+"\x04\x00"), Header{}, ErrMalformed},
		{"v2 right checksum", withChecksum(0), told, nil},
		{"v2 wrong checksum", withChecksum(1), Header{}, ErrMalformed},
		{"v2 short checksum", v2(v2Proxy, v2TCP4, v4Rest+"\x03\x00\x01a"), Header{}, ErrMalformed},
		{"v2 too few addresses", v2(v2Proxy, v2TCP4, v4Rest[1:]), Header{}, ErrMalformed},
		{"v2 IPv6 with IPv4's length", v2(v2Proxy, v2TCP6, v4Rest), Header{}, ErrMalformed},
		{"v2 command", v2(0x22, v2TCP4, v4Rest), Header{}, ErrMalformed},
		{"v2 version", v2(0x11, v2TCP4, v4Rest), Header{}, ErrMalformed},
		{"v2 family", v2(v2Proxy, 0x41, v4Rest), Header{}, ErrMalformed},
		{"v2 protocol", v2(v2Proxy, 0x13, v4Rest), Header{}, ErrMalformed},
		{"v2 too large", v2(v2Proxy, v2TCP4, strings.Repeat("x", 5000)), Header{}, ErrTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, n, err := Parse([]byte(tc.in + "rest"))
			if !errors.Is(err, tc.err) || h != tc.want || err == nil && n != len(tc.in) {
				t.Fatalf("%q: %+v, %d, %v; want %+v, %v", tc.in, h, n, err, tc.want, tc.err)
			}
			if err != nil {
				return
			}
			for i := range tc.in {
				if _, n, err := Parse([]byte(tc.in[:i])); n != 0 || err != nil {
					t.Fatalf("after %d bytes: %d, %v", i, n, err)
				}
			}
		})
	}
}

// withChecksum is a header with a checksum field that is off by delta.
func withChecksum(delta uint32) string {
	b := []byte(v2(v2Proxy, v2TCP4, v4Rest+"\x03\x00\x04\x00\x00\x00\x00\x04\x00\x01z"))
	sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(b[v2Fixed+len(v4Rest)+3:], sum+delta)
	return string(b)
}

// TestParseReadsWhatAppendWrites for both versions and families.
func TestParseReadsWhatAppendWrites(t *testing.T) {
	for _, version := range []int{1, 2} {
		for _, want := range []Header{{Src: client, Dst: front}, {Src: six, Dst: six}} {
			b := Append(nil, version, want.Src, want.Dst)
			if h, n, err := Parse(b); h != want || n != len(b) || err != nil {
				t.Errorf("version %d: %+v, %d, %v", version, h, n, err)
			}
		}
	}
}

// FuzzParse: whatever is taken is within what was given, and written again means the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"PROXY TCP4 192.0.2.1 198.51.100.2 1000 80\r\nGET", "PROXY UNKNOWN x\r\n", v2(v2Proxy, v2TCP4, v4Rest), withChecksum(0), v2(v2Local, 0, "")} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := Parse(b)
		switch {
		case err != nil && n != 0, n < 0, n > len(b), n > MaxHeader:
			t.Fatalf("%d of %d bytes, %v", n, len(b), err)
		case err != nil || n == 0:
			if n == 0 && err == nil && len(b) >= MaxHeader {
				t.Fatalf("wants more than %d bytes", len(b))
			}
			return
		}
		if again, m, err := Parse(b[:n]); again != h || m != n || err != nil {
			t.Fatalf("alone: %+v, %d, %v; before %+v, %d", again, m, err, h, n)
		}
		if h.Local {
			return
		}
		for _, version := range []int{1, 2} {
			w, _, err := Parse(Append(nil, version, h.Src, h.Dst))
			if err != nil || w.Src != h.Src || w.Dst != h.Dst {
				t.Fatalf("version %d: %+v, %v; want %+v", version, w, err, h)
			}
		}
	})
}
