package stats

import "slices"

// object is a part of a JSON schema.
type object = map[string]any

// Schema describes the JSON formats, of the process and of proxies, as a JSON schema (draft 4, which is
// what HAProxy's is in). It is made of the tables that the formats are made of.
func Schema() []byte {
	cell := object{
		"field": ref("field"), "processNum": object{"type": "integer", "minimum": 1},
		"tags": ref("tags"), "value": ref("value"),
	}
	stat := object{
		"objType": enum("Frontend", "Backend", "Listener", "Server"),
		"proxyId": natural(), "id": natural(),
	}
	for name, part := range cell {
		stat[name] = part
	}
	return marshal(object{
		"$schema": "http://json-schema.org/draft-04/schema#",
		"oneOf": []object{
			{"title": "Info", "type": "array", "items": record(cell)},
			{"title": "Stat", "type": "array", "items": object{"type": "array", "items": record(stat)}},
			{"title": "Error", "type": "object", "properties": object{"errorStr": anyText()}, "required": []string{"errorStr"}},
		},
		"definitions": object{
			"field": record(object{"pos": natural(), "name": anyText()}),
			"tags": record(object{
				"origin": enum("Metric", "Status", "Key", "Config", "Product"),
				"nature": enum("Age", "Avg", "Counter", "Duration", "Gauge", "Limit", "Max", "Name", "Output", "Rate"),
				"scope":  enum("Process", "Service"),
			}),
			"value": object{"oneOf": []object{
				typed(U32, object{"type": "integer", "minimum": 0, "maximum": uint64(1<<32 - 1)}),
				typed(S32, object{"type": "integer", "minimum": int64(-1 << 31), "maximum": int64(1<<31 - 1)}),
				typed(U64, natural()),
				typed(Str, anyText()),
			}},
		},
	})
}

func ref(name string) object        { return object{"$ref": "#/definitions/" + name} }
func natural() object               { return object{"type": "integer", "minimum": 0} }
func anyText() object               { return object{"type": "string"} }
func enum(words ...string) object   { return object{"type": "string", "enum": words} }
func typed(t Type, v object) object { return record(object{"type": enum(string(t)), "value": v}) }

// record is an object all of whose properties have to be there.
func record(properties object) object {
	var required []string
	for name := range properties {
		required = append(required, name)
	}
	slices.Sort(required)
	return object{"type": "object", "properties": properties, "required": required}
}
