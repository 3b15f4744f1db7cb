package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strconv"
)

// Header is what a header says. Without addresses (Local) those of the connection itself are meant: a health check
// of the proxy in front, or a family that it does not name.
type Header struct {
	Local    bool
	Src, Dst netip.AddrPort
}

// The largest headers. Version 1 is bounded by its specification (section 2.1). Version 2 could have 64 kB of
// further fields; what is larger than this is refused, as in HAProxy where it must fit a buffer.
const (
	maxV1     = 107
	MaxHeader = 4096
)

// Errors of [Parse].
var (
	ErrMissing   = errors.New("no PROXY header")
	ErrMalformed = errors.New("malformed PROXY header")
	ErrTooLarge  = errors.New("PROXY header too large")
)

// Parse reads the header at the start of b. n is its length; 0 without an error means that more bytes are needed.
// What follows the header is not looked at.
func Parse(b []byte) (h Header, n int, err error) {
	switch {
	case begins(b, v2Signature):
		return parseV2(b)
	case begins(b, v1Signature):
		return parseV1(b)
	}
	return h, 0, ErrMissing
}

// begins says whether b can still become something that starts with signature.
func begins(b []byte, signature string) bool {
	n := min(len(b), len(signature))
	return string(b[:n]) == signature[:n]
}

func parseV1(b []byte) (h Header, n int, err error) {
	line, _, found := bytes.Cut(b[:min(len(b), maxV1)], []byte("\n"))
	if !found {
		if len(b) >= maxV1 {
			return h, 0, ErrTooLarge
		}
		return h, 0, nil
	}
	n = len(line) + 1
	line, ok := bytes.CutSuffix(line, []byte("\r"))
	if !ok || len(line) < len(v1Signature) || bytes.IndexByte(line, '\r') >= 0 {
		return h, 0, ErrMalformed
	}
	if h, ok = parseV1Line(string(line[len(v1Signature):])); !ok {
		return Header{}, 0, ErrMalformed
	}
	return h, n, nil
}

// parseV1Line reads what stands between the signature and the line's end.
func parseV1Line(line string) (h Header, ok bool) {
	words := bytes.Split([]byte(line), []byte(" "))
	if string(words[0]) == "UNKNOWN" { // whatever follows is to be ignored (section 2.1)
		return Header{Local: true}, true
	}
	if len(words) != 5 {
		return h, false
	}
	four := string(words[0]) == "TCP4"
	if !four && string(words[0]) != "TCP6" {
		return h, false
	}
	from, okFrom := parseAddr(words[1], four)
	to, okTo := parseAddr(words[2], four)
	fromPort, okFromPort := parsePort(words[3])
	toPort, okToPort := parsePort(words[4])
	h = Header{Src: netip.AddrPortFrom(from, fromPort), Dst: netip.AddrPortFrom(to, toPort)}
	return h, okFrom && okTo && okFromPort && okToPort
}

func parseAddr(text []byte, four bool) (netip.Addr, bool) {
	a, err := netip.ParseAddr(string(text))
	if err != nil || a.Zone() != "" || a.Is4() != four {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// parsePort reads decimal digits without leading zeroes.
func parsePort(text []byte) (uint16, bool) {
	for i, c := range text {
		if c < '0' || c > '9' || i == 0 && c == '0' && len(text) > 1 {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(string(text), 10, 16)
	return uint16(n), err == nil
}

// The fixed part of version 2 (section 2.2): signature, version and command, family, length of the rest.
const v2Fixed = len(v2Signature) + 4

func parseV2(b []byte) (h Header, n int, err error) {
	if len(b) < v2Fixed {
		if at := len(v2Signature); len(b) > at && b[at] != v2Proxy && b[at] != v2Local {
			return h, 0, ErrMalformed
		}
		return h, 0, nil
	}
	command, family := b[len(v2Signature)], b[len(v2Signature)+1]
	n = v2Fixed + int(binary.BigEndian.Uint16(b[v2Fixed-2:]))
	switch {
	case command != v2Proxy && command != v2Local, family>>4 > 3, family&0xf > 2:
		return h, 0, ErrMalformed
	case n > MaxHeader:
		return h, 0, ErrTooLarge
	case len(b) < n:
		return h, 0, nil
	}
	rest := b[v2Fixed:n]
	h = Header{Local: true}
	size := 0
	if command == v2Proxy {
		if size = addressesSize(family); size > len(rest) {
			return Header{}, 0, ErrMalformed
		}
		h = v2Addresses(family, rest)
	}
	if command == v2Proxy && family != 0 && !fieldsValid(b[:n], v2Fixed+size) {
		return Header{}, 0, ErrMalformed
	}
	return h, n, nil
}

// addressesSize is how many bytes of addresses a family and protocol have.
func addressesSize(family byte) int {
	switch family >> 4 {
	case 1:
		return 2*4 + 4
	case 2:
		return 2*16 + 4
	case 3: // UNIX
		return 2 * 108
	}
	return 0
}

// v2Addresses reads the addresses of TCP; others tell nothing about a connection of ours.
func v2Addresses(family byte, b []byte) Header {
	be := binary.BigEndian
	switch family {
	case v2TCP4:
		return Header{
			Src: netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), be.Uint16(b[8:])),
			Dst: netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), be.Uint16(b[10:])),
		}
	case v2TCP6:
		return Header{
			Src: netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[:16])).Unmap(), be.Uint16(b[32:])),
			Dst: netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[16:32])).Unmap(), be.Uint16(b[34:])),
		}
	}
	return Header{Local: true}
}

const fieldCRC32C = 0x03 // PP2_TYPE_CRC32C

// fieldsValid walks the further fields (type, length, value) from at on, which must fill the header exactly, and
// verifies its checksum if it has one (section 2.2.4).
func fieldsValid(header []byte, at int) bool {
	for at < len(header) {
		if len(header)-at < 3 {
			return false
		}
		size := int(binary.BigEndian.Uint16(header[at+1:]))
		value := at + 3
		if size > len(header)-value {
			return false
		}
		if header[at] == fieldCRC32C && (size != 4 || !checksumRight(header, value)) {
			return false
		}
		at = value + size
	}
	return true
}

// checksumRight compares the checksum at an offset with that of the header with zeroes in its place.
func checksumRight(header []byte, at int) bool {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, header[:at])
	sum = crc32.Update(sum, table, make([]byte, 4))
	sum = crc32.Update(sum, table, header[at+4:])
	return sum == binary.BigEndian.Uint32(header[at:])
}
