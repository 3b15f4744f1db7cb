package sample

import (
	"math"
	"math/bits"
)

// numberConverters calculate; results beyond 64 bits become the nearest number that fits.
var numberConverters = map[string]*converter{
	"add":  arithmetic(addClamped),
	"sub":  arithmetic(func(a, b int64) int64 { return addClamped(a, negated(b)) }),
	"mul":  arithmetic(multiplyClamped),
	"div":  arithmetic(divide),
	"mod":  arithmetic(remainder),
	"and":  arithmetic(func(a, b int64) int64 { return a & b }),
	"or":   arithmetic(func(a, b int64) int64 { return a | b }),
	"xor":  arithmetic(func(a, b int64) int64 { return a ^ b }),
	"neg":  unary(Int, func(n int64) Value { return integer(negated(n)) }),
	"cpl":  unary(Int, func(n int64) Value { return integer(^n) }),
	"not":  unary(Bool, func(n int64) Value { return boolean(n == 0) }),
	"bool": unary(Bool, func(n int64) Value { return boolean(n != 0) }),
	"odd":  unary(Bool, func(n int64) Value { return boolean(n&1 != 0) }),
	"even": unary(Bool, func(n int64) Value { return boolean(n&1 == 0) }),
}

func unary(out Type, f func(int64) Value) *converter {
	return &converter{in: Int, out: out, do: func(_ *evaluator, v Value, _ *args) (Value, bool) { return f(v.Int), true }}
}

// arithmetic makes a converter with an operand: a number, or a variable that has one.
func arithmetic(f func(a, b int64) int64) *converter {
	return &converter{in: Int, out: Int, arg: operand, do: func(e *evaluator, v Value, a *args) (Value, bool) {
		n := a.nums[0]
		if name := a.vars[0]; name != nil {
			x, ok := e.subject.Vars(name.Scope).Get(name.Name)
			if ok {
				x, ok = e.cast(x, Int)
			}
			if !ok {
				return Value{}, false
			}
			n = x.Int
		}
		return integer(f(v.Int, n)), true
	}}
}

func negated(n int64) int64 {
	if n == math.MinInt64 {
		return math.MaxInt64
	}
	return -n
}

func addClamped(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

func multiplyClamped(a, b int64) int64 {
	limit := uint64(math.MaxInt64)
	if (a < 0) != (b < 0) {
		limit++
	}
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	if hi == 0 && lo <= limit {
		return a * b
	}
	if (a < 0) != (b < 0) {
		return math.MinInt64
	}
	return math.MaxInt64
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// divide gives the largest number for a division by zero, as in HAProxy.
func divide(a, b int64) int64 {
	switch {
	case b == 0:
		return math.MaxInt64
	case a == math.MinInt64 && b == -1:
		return math.MaxInt64
	}
	return a / b
}

func remainder(a, b int64) int64 {
	if b == 0 || b == -1 {
		return 0
	}
	return a % b
}
