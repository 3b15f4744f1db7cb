package stats

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Format is a form in which statistics are written for programs.
type Format uint8

// The formats. Plain is CSV for statistics of proxies and "Name: value" lines for those of the process.
const (
	Plain Format = iota
	Typed
	JSON
)

// Proxies writes the statistics of the snapshot's proxies.
func Proxies(s *Snapshot, format Format, f Filter) []byte {
	rows := Rows(s, f)
	switch format {
	case Typed:
		return typedRows(rows, f.Describe)
	case JSON:
		return jsonRows(rows)
	default:
		return csvRows(rows)
	}
}

// ProcessInfo writes the statistics of the process, with their descriptions behind them if the format has
// room: JSON has none.
func ProcessInfo(s *Snapshot, format Format, describe bool) []byte {
	var b bytes.Buffer
	var objects []jsonCell
	counts := newProcessCounts(s)
	for pos, f := range processFields() {
		if f.Value == nil {
			continue
		}
		v := f.Value(&s.Process, counts)
		switch {
		case v.Empty():
		case format == Typed:
			fmt.Fprintf(&b, "%d.%s.%d:%s:%s:%s%s\n", pos, f.Name, processNumber, f.Tags, f.Type, oneLine(v.String()), description(describe, f.Help))
		case format == JSON:
			objects = append(objects, newJSONCell(pos, f.Name, f.Tags, f.Type, v))
		default:
			fmt.Fprintf(&b, "%s: %s%s\n", f.Name, oneLine(v.String()), description(describe, f.Help))
		}
	}
	if format == JSON {
		return marshal(objects)
	}
	return b.Bytes()
}

// description is the end of a line that says what it is about: a colon and a quoted text.
func description(wanted bool, text string) string {
	if !wanted {
		return ""
	}
	return `:"` + text + `"`
}

// csvRows writes the CSV format (HAProxy's management manual, 9.1): the header begins with "# ", every
// line ends with a comma, and a column named "-" ends the columns whose position is fixed.
func csvRows(rows []Row) []byte {
	var b bytes.Buffer
	columns := Columns()
	b.WriteString("# ")
	for _, c := range columns {
		b.WriteString(c.Name + ",")
	}
	b.WriteString("-,\n")
	for i := range rows {
		for j := range columns {
			b.WriteString(csvCell(columns[j].Cell(&rows[i]).String()) + ",")
		}
		b.WriteString("-,\n")
	}
	return b.Bytes()
}

// csvCell quotes a cell where it must be (RFC 4180, section 2).
func csvCell(s string) string {
	if !strings.ContainsAny(s, "\",\r\n") {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// typedRows writes a line for each value (HAProxy's management manual, 9.2).
func typedRows(rows []Row, describe bool) []byte {
	var b bytes.Buffer
	columns := Columns()
	for i := range rows {
		r := &rows[i]
		for pos := range columns {
			c := &columns[pos]
			if v := c.Cell(r); !v.Empty() {
				fmt.Fprintf(&b, "%c.%d.%d.%d.%s.%d:%s:%s:%s%s\n", r.Scope.Letter(), r.ProxyID(), r.ID(), pos, c.Name,
					processNumber, c.Tags, c.Type, oneLine(v.String()), description(describe, c.Help))
			}
		}
	}
	return b.Bytes()
}

// oneLine keeps a text from breaking formats whose records are lines.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, s)
}

// jsonCell is one value in the JSON format, in HAProxy's order of keys. The first three are absent in
// the statistics of the process.
type jsonCell struct {
	ObjType    string    `json:"objType,omitempty"`
	ProxyID    *int      `json:"proxyId,omitempty"`
	ID         *int      `json:"id,omitempty"`
	Field      jsonField `json:"field"`
	ProcessNum int       `json:"processNum"`
	Tags       jsonTags  `json:"tags"`
	Value      jsonValue `json:"value"`
}

type jsonField struct {
	Pos  int    `json:"pos"`
	Name string `json:"name"`
}

type jsonTags struct {
	Origin string `json:"origin"`
	Nature string `json:"nature"`
	Scope  string `json:"scope"`
}

type jsonValue struct {
	Type  Type `json:"type"`
	Value any  `json:"value"`
}

func newJSONCell(pos int, name string, tags Tags, typ Type, v Value) jsonCell {
	c := jsonCell{Field: jsonField{pos, name}, ProcessNum: processNumber, Value: jsonValue{Type: typ, Value: v.String()}}
	c.Tags.Origin, c.Tags.Nature, c.Tags.Scope = tags.Words()
	if typ != Str {
		c.Value.Value = v.Int()
	}
	return c
}

// jsonRows writes an array of objects, each an array of values.
func jsonRows(rows []Row) []byte {
	columns := Columns()
	objects := make([][]jsonCell, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		proxyID, id := r.ProxyID(), r.ID()
		var cells []jsonCell
		for pos := range columns {
			c := &columns[pos]
			if v := c.Cell(r); !v.Empty() {
				cell := newJSONCell(pos, c.Name, c.Tags, c.Type, v)
				cell.ObjType, cell.ProxyID, cell.ID = r.Scope.Word(), &proxyID, &id
				cells = append(cells, cell)
			}
		}
		objects = append(objects, cells)
	}
	return marshal(objects)
}

func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b) // ends with a newline, as HAProxy's output does
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		// Numbers and texts always encode; say so where a reader will see it rather than panic.
		return []byte(`{"errorStr":"` + "statistics do not encode" + `"}` + "\n")
	}
	return b.Bytes()
}
