package h1

// fieldID names a field that the codec itself looks at.
type fieldID uint8

const (
	idOther fieldID = iota
	idHost
	idConnection
	idContentLength
	idTransferEncoding
	idExpect
	idUpgrade
	idKeepAlive
	idProxyConnection
	idTE
	idTrailer
	idHTTP2Settings
)

// equalFold compares without ASCII case.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range len(b) {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}
