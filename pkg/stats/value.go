package stats

import (
	"strconv"
	"strings"
	"time"
)

// Value is one cell: nothing, a number, a time or a text. The zero Value is nothing: the statistic does
// not apply to the object, or there is no value for it yet.
type Value struct {
	kind valueKind
	num  int64
	text string
}

type valueKind uint8

const (
	nothing valueKind = iota
	number
	span // a time, in microseconds
	text
)

func count(n uint64) Value             { return Value{kind: number, num: int64(min(n, 1<<63-1))} }
func integer[T int | int64](n T) Value { return Value{kind: number, num: int64(n)} }
func micros(us uint64) Value           { return Value{kind: span, num: int64(min(us, 1<<63-1))} }
func duration(d time.Duration) Value   { return Value{kind: span, num: d.Microseconds()} }
func seconds(d time.Duration) Value    { return integer(max(0, int64(d/time.Second))) }
func word(s string) Value              { return Value{kind: text, text: s} }
func unless(empty bool, v Value) Value {
	if empty {
		return Value{}
	}
	return v
}

// Empty says whether there is no value.
func (v Value) Empty() bool { return v.kind == nothing }

// Int returns a number as it is and a time in milliseconds, the unit of HAProxy's columns.
func (v Value) Int() int64 {
	if v.kind == span {
		return v.num / 1000
	}
	return v.num
}

// Float returns a number as it is and a time in seconds, the unit of Prometheus.
func (v Value) Float() float64 {
	if v.kind == span {
		return float64(v.num) / 1e6
	}
	return float64(v.num)
}

// String returns the value as a cell of the CSV format has it, before quoting.
func (v Value) String() string {
	switch v.kind {
	case nothing:
		return ""
	case text:
		return v.text
	default:
		return strconv.FormatInt(v.Int(), 10)
	}
}

// Type is the type of a column in the typed and JSON formats (HAProxy's management manual, 9.2).
type Type string

// The types.
const (
	U32 Type = "u32"
	S32 Type = "s32"
	U64 Type = "u64"
	Str Type = "str"
)

// Tags say where a value comes from, how it evolves and what it speaks for, so that several processes'
// values can be brought together: three letters of HAProxy's management manual, section 9.2.
type Tags string

// The tags in use.
const (
	keyName     Tags = "KNS"
	key         Tags = "KGP"
	serviceKey  Tags = "KGS"
	setting     Tags = "CGS"
	settingName Tags = "CNS"
	settingText Tags = "COS"
	limit       Tags = "CLP"
	product     Tags = "PGS"
	productText Tags = "POS"
	state       Tags = "SGP"
	gauge       Tags = "MGP"
	maximum     Tags = "MMP"
	counter     Tags = "MCP"
	rated       Tags = "MRP"
	averaged    Tags = "MaP"
	age         Tags = "MAP"
	lasting     Tags = "MDP"
	output      Tags = "MOP"
)

// counts says whether the value only ever grows.
func (t Tags) counts() bool { return t[1] == 'C' }

// Words returns the words that the JSON format has for the three letters.
func (t Tags) Words() (origin, nature, scope string) {
	return tagWord("MSKCP", "Metric Status Key Config Product", t[0]),
		tagWord("AaCDGLMNOR", "Age Avg Counter Duration Gauge Limit Max Name Output Rate", t[1]),
		tagWord("PS", "Process Service", t[2])
}

func tagWord(letters, words string, letter byte) string {
	return strings.Fields(words)[strings.IndexByte(letters, letter)]
}
