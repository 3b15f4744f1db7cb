package sample

import (
	"strconv"
	"time"
)

// moment is a number of seconds, or of a smaller unit, since 1970, moved by the first argument.
func moment(n int64, a *args) time.Time {
	var t time.Time
	switch a.texts[1] {
	case "ms":
		t = time.UnixMilli(n)
	case "us":
		t = time.UnixMicro(n)
	default:
		t = time.Unix(n, 0)
	}
	return t.Add(time.Duration(a.nums[0]) * time.Second)
}

// httpDate writes a date as headers have it (RFC 9110 section 5.6.7).
func httpDate(e *evaluator, v Value, a *args) (Value, bool) {
	start := len(e.scratch)
	e.scratch = moment(v.Int, a).UTC().AppendFormat(e.scratch, "Mon, 02 Jan 2006 15:04:05 GMT")
	return text(e.scratch[start:]), true
}

// verbs are the conversions of strftime by their letters, as layouts of the time package.
var verbs = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'c': "Mon Jan _2 15:04:05 2006", 'd': "02", 'D': "01/02/06",
	'e': "_2", 'F': "2006-01-02", 'H': "15", 'h': "Jan", 'I': "03", 'j': "002", 'm': "01", 'M': "04", 'n': "\n", 'p': "PM",
	'r': "03:04:05 PM", 'R': "15:04", 'S': "05", 't': "\t", 'T': "15:04:05", 'x': "01/02/06", 'X': "15:04:05", 'y': "06",
	'Y': "2006", 'z': "-0700", 'Z': "MST",
}

// parseTimeFormat reads `format[,offset]`.
func parseTimeFormat(p *argParser) *Error {
	format := p.list[0]
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		if i++; i == len(format) {
			return errorf(0, "the format of %s ends in '%%'", p.what)
		}
		if _, ok := verbs[format[i]]; !ok && format[i] != 's' && format[i] != '%' {
			return unsupported("conversion", format[i-1:i+1])
		}
	}
	p.out.texts[0] = format
	if p.text(1) == "" {
		return nil
	}
	n, err := strconv.ParseInt(p.list[1], 10, 64)
	if err != nil {
		return errorf(0, "'%s' is not a number of seconds, which %s expects as argument 2", p.list[1], p.what)
	}
	p.out.nums[0] = n
	return nil
}

func formatTime(utc bool) func(*evaluator, Value, *args) (Value, bool) {
	return func(e *evaluator, v Value, a *args) (Value, bool) {
		t := moment(v.Int, &args{nums: a.nums}).Local()
		if utc {
			t = t.UTC()
		}
		start := len(e.scratch)
		e.scratch = appendTime(e.scratch, t, a.texts[0], utc)
		return text(e.scratch[start:]), true
	}
}

// appendTime writes t as strftime does.
func appendTime(dst []byte, t time.Time, format string, utc bool) []byte {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			dst = append(dst, format[i])
			continue
		}
		i++
		switch c := format[i]; {
		case c == '%':
			dst = append(dst, '%')
		case c == 's':
			dst = strconv.AppendInt(dst, t.Unix(), 10)
		case c == 'Z' && utc:
			dst = append(dst, "GMT"...)
		default:
			dst = t.AppendFormat(dst, verbs[c])
		}
	}
	return dst
}
