package sample

// converter turns a value into another; false means that there is none.
type converter struct {
	in, out Type
	do      func(*evaluator, Value) (Value, bool)
}

var converters = map[string]converter{
	"lower":  {in: String, out: String, do: toLower},
	"upper":  {in: String, out: String, do: toUpper},
	"length": {in: String, out: Int, do: func(_ *evaluator, v Value) (Value, bool) { return integer(int64(len(v.Text))), true }},
}

func toLower(e *evaluator, v Value) (Value, bool) {
	return text(e.mapText(v.Text, lowerByte)), true
}

func toUpper(e *evaluator, v Value) (Value, bool) {
	return text(e.mapText(v.Text, upperByte)), true
}

func (e *evaluator) mapText(b []byte, f func(byte) byte) []byte {
	start := len(e.scratch)
	for _, c := range b {
		e.scratch = append(e.scratch, f(c))
	}
	return e.scratch[start:]
}

func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func upperByte(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - ('a' - 'A')
	}
	return c
}
