package stats

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// validate says how v breaks a schema; "" if it does not. It knows the words that Schema uses.
func validate(root, schema map[string]any, v any) string {
	if name, ok := schema["$ref"].(string); ok {
		definitions := root["definitions"].(map[string]any)
		return validate(root, definitions[strings.TrimPrefix(name, "#/definitions/")].(map[string]any), v)
	}
	if kind, ok := schema["type"].(string); ok && !isKind(kind, v) {
		return fmt.Sprintf("%v is no %s", v, kind)
	}
	if words, ok := schema["enum"].([]any); ok && !slices.Contains(words, v) {
		return fmt.Sprintf("%v is none of %v", v, words)
	}
	if low, ok := schema["minimum"].(float64); ok && v.(float64) < low {
		return fmt.Sprintf("%v is below %v", v, low)
	}
	if high, ok := schema["maximum"].(float64); ok && v.(float64) > high {
		return fmt.Sprintf("%v is above %v", v, high)
	}
	if all, ok := schema["oneOf"].([]any); ok {
		var fits int
		var why []string
		for _, one := range all {
			if msg := validate(root, one.(map[string]any), v); msg == "" {
				fits++
			} else {
				why = append(why, msg)
			}
		}
		if fits != 1 {
			return fmt.Sprintf("%d alternatives fit: %s", fits, strings.Join(why, "; "))
		}
	}
	if items, ok := schema["items"].(map[string]any); ok {
		for _, e := range v.([]any) {
			if msg := validate(root, items, e); msg != "" {
				return msg
			}
		}
	}
	for _, name := range asList(schema["required"]) {
		if _, ok := v.(map[string]any)[name.(string)]; !ok {
			return fmt.Sprintf("%v lacks %v", v, name)
		}
	}
	properties, _ := schema["properties"].(map[string]any)
	for name, part := range properties {
		if value, ok := v.(map[string]any)[name]; ok {
			if msg := validate(root, part.(map[string]any), value); msg != "" {
				return name + ": " + msg
			}
		}
	}
	return ""
}

func asList(v any) []any { list, _ := v.([]any); return list }

func isKind(kind string, v any) bool {
	switch x := v.(type) {
	case string:
		return kind == "string"
	case float64:
		return kind == "integer" && x == float64(int64(x))
	case []any:
		return kind == "array"
	case map[string]any:
		return kind == "object"
	}
	return false
}

func TestOutputFollowsTheSchema(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	s := swarm()
	for name, out := range map[string][]byte{
		"stat": Proxies(s, JSON, Filter{Legends: true}), "info": ProcessInfo(s, JSON, false), "error": []byte(`{"errorStr":"x"}`),
	} {
		var v any
		if err := json.Unmarshal(out, &v); err != nil {
			t.Fatal(err)
		}
		if msg := validate(schema, schema, v); msg != "" {
			t.Errorf("%s: %s", name, msg)
		}
	}
	for _, wrong := range []string{`{}`, `[{"field":{"pos":0}}]`, `[[{"objType":"Moon"}]]`, `7`} {
		var v any
		_ = json.Unmarshal([]byte(wrong), &v)
		if validate(schema, schema, v) == "" {
			t.Errorf("%s follows the schema", wrong)
		}
	}
}
