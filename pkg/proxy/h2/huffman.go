package h2

// The Huffman code of HPACK (RFC 7541, appendix B) is canonical: codes of one length are consecutive numbers, in the order of
// their symbols, and those of the next length follow them. So the lengths are all that there is to know.
var huffmanLengths = [256]uint8{
	13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
	28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
	6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
	5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
	13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
	7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
	15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
	6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
	20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
	24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
	22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
	21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
	26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
	19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
	20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
	26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
}

const (
	shortestCode = 5
	longestCode  = 30
	quickBits    = 8 // codes as long as this are found by one look at a table
)

// huffman is what decodes. No one writes it after it is made.
type huffmanTable struct {
	quick [1 << quickBits]struct{ symbol, length uint8 } // by the next bits; length 0: the code is longer
	first [longestCode + 1]uint32                        // the first code of each length
	count [longestCode + 1]uint32
	index [longestCode + 1]uint32 // of its symbol in symbols
	// symbols are in the order of their codes.
	symbols [256]uint8
}

var huffman = newHuffman()

func newHuffman() (t huffmanTable) {
	code, n := uint32(0), uint32(0)
	for length := uint8(shortestCode); length <= longestCode; length++ {
		code <<= 1
		t.first[length], t.index[length] = code, n
		for symbol, l := range huffmanLengths {
			if l != length {
				continue
			}
			t.symbols[n] = uint8(symbol)
			n++
			if length <= quickBits {
				from := code << (quickBits - length)
				for i := range uint32(1) << (quickBits - length) {
					t.quick[from+i].symbol, t.quick[from+i].length = uint8(symbol), length
				}
			}
			code++
		}
		t.count[length] = code - t.first[length]
	}
	return t
}

// appendHuffman appends what the code b stands for. ok is false where b is no such code: it has a symbol that does not exist,
// or its padding is not what RFC 7541, section 5.2, says.
func appendHuffman(dst, b []byte) (out []byte, ok bool) {
	var bits uint64 // those not used yet, at the low end
	have := uint8(0)
	for {
		for have <= 56 && len(b) > 0 {
			bits = bits<<8 | uint64(b[0])
			have += 8
			b = b[1:]
		}
		for have >= quickBits {
			q := huffman.quick[uint8(bits>>(have-quickBits))]
			if q.length == 0 {
				break
			}
			dst = append(dst, q.symbol)
			have -= q.length
		}
		switch {
		case have >= longestCode || len(b) == 0 && have > 0:
			symbol, length, found := slowly(bits, have)
			if !found {
				return dst, len(b) == 0 && have < 8 && bits&(1<<have-1) == 1<<have-1
			}
			dst = append(dst, symbol)
			have -= length
		case len(b) == 0:
			return dst, true
		}
	}
}

// slowly finds the code at the upper end of so many bits by trying one length after the other.
func slowly(bits uint64, have uint8) (symbol, length uint8, found bool) {
	for length = shortestCode; length <= min(have, longestCode); length++ {
		code := uint32(bits>>(have-length)) & (1<<length - 1)
		if at := code - huffman.first[length]; code >= huffman.first[length] && at < huffman.count[length] {
			return huffman.symbols[huffman.index[length]+at], length, true
		}
	}
	return 0, 0, false
}
