package runtimeapi

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"waggle/pkg/stick"
)

// tableFilter is what the arguments of `show table` behind the name of a table ask for: entries whose data are as said, or
// the one of a key (HAProxy's management guide, `show table`).
type tableFilter struct {
	key   string // "" = any
	terms []tableTerm
}

// tableTerm is `data.<type> <operator> <value>`.
type tableTerm struct {
	data     stick.Data
	operator string
	value    uint64
}

// maxTableTerms is how many of them there may be, as in HAProxy.
const maxTableTerms = 4

var tableOperators = []string{"eq", "ne", "le", "ge", "lt", "gt"}

// parseTableFilter reads the arguments. complaint says what is wrong with them.
func parseTableFilter(args []string, cfg *stick.Config) (f tableFilter, complaint string) {
	switch {
	case len(args) == 0:
		return f, ""
	case args[0] == "key" && word(args, 1) == "":
		return f, "Key value expected\n"
	case args[0] == "key":
		return tableFilter{key: args[1]}, ""
	case !strings.HasPrefix(args[0], "data."):
		return f, "Optional argument only supports \"data.<store_data_type>\" <operator> <value> and key <key>\n"
	}
	for n := 1; len(args) > 0; n++ {
		if n > maxTableTerms {
			return f, fmt.Sprintf("Filter entry #%d: there are at most %d of them\n", n, maxTableTerms)
		}
		term, wrong := parseTableTerm(args, cfg)
		if wrong != "" {
			return f, fmt.Sprintf("Filter entry #%d: %s\n", n, wrong)
		}
		f.terms = append(f.terms, term)
		args = args[3:]
	}
	return f, ""
}

func parseTableTerm(args []string, cfg *stick.Config) (t tableTerm, wrong string) {
	name, ok := strings.CutPrefix(args[0], "data.")
	if ok {
		t.data, ok = stick.FindData(name)
	}
	if !ok {
		return t, "Unknown data type"
	}
	if !cfg.Stores[t.data] {
		return t, "Data type not stored in this table"
	}
	if t.operator = word(args, 1); !slices.Contains(tableOperators, t.operator) {
		return t, "Require and operator among \"eq\", \"ne\", \"le\", \"ge\", \"lt\", \"gt\""
	}
	var err error
	if t.value, err = strconv.ParseUint(word(args, 2), 10, 63); err != nil {
		return t, "Require a valid integer value to compare against"
	}
	return t, ""
}

// takes says whether an entry is asked for.
func (f tableFilter) takes(r stick.Row) bool {
	if f.key != "" && r.Key != f.key {
		return false
	}
	for _, t := range f.terms {
		i := slices.IndexFunc(r.Values, func(v stick.Value) bool { return v.Data == t.data })
		if i < 0 || !t.holds(r.Values[i].Count) {
			return false
		}
	}
	return true
}

func (t tableTerm) holds(n uint64) bool {
	switch t.operator {
	case "eq":
		return n == t.value
	case "ne":
		return n != t.value
	case "le":
		return n <= t.value
	case "ge":
		return n >= t.value
	case "lt":
		return n < t.value
	default:
		return n > t.value
	}
}
