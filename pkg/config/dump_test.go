package config

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
	"testing"
)

// dump prints every value of a configuration that is not zero, one a line with its path.
func dump(cfg *Config) string {
	var b strings.Builder
	dumpValue(&b, "", reflect.ValueOf(cfg).Elem())
	return b.String()
}

func dumpValue(b *strings.Builder, path string, v reflect.Value) {
	if v.IsZero() && !strings.HasSuffix(path, "]") {
		return
	}
	if s, ok := v.Interface().(fmt.Stringer); ok && v.Kind() != reflect.Pointer || ok && strings.HasSuffix(path, "Cond") {
		fmt.Fprintf(b, "%s = %s\n", path, s)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		dumpValue(b, path, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				dumpValue(b, strings.TrimPrefix(path+"."+f.Name, "."), v.Field(i))
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			dumpValue(b, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case reflect.Map:
		keys := v.MapKeys()
		sort.Slice(keys, func(i, j int) bool { return fmt.Sprint(keys[i]) < fmt.Sprint(keys[j]) })
		for _, k := range keys {
			dumpValue(b, fmt.Sprintf("%s[%v]", path, k), v.MapIndex(k))
		}
	default:
		fmt.Fprintf(b, "%s = %v\n", path, v.Interface())
	}
}

// formatAll renders diagnostics as the program prints them.
func formatAll(list Diagnostics) string {
	var b strings.Builder
	for _, d := range list {
		b.WriteString(d.Format(1) + "\n")
	}
	return b.String()
}

// parse reads a configuration without touching the process's environment or files.
func parse(text string) (*Config, Diagnostics, error) {
	return Parse("t.cfg", []byte(text), pure(nil))
}

// pure are options that reach nothing but the files given.
func pure(files map[string]string) LoadOptions {
	return LoadOptions{
		Hostname: func() string { return "host" },
		Getenv: func(name string) (string, bool) {
			if name == "PORT" {
				return "8000", true
			}
			return "", false
		},
		ReadFile: func(name string) ([]byte, error) {
			if content, ok := files[name]; ok {
				return []byte(content), nil
			}
			return nil, fmt.Errorf("no such file")
		},
		ReadDir: func(name string) ([]string, bool, error) {
			var names []string
			for f := range files {
				if rest, ok := strings.CutPrefix(f, name+"/"); ok {
					names = append(names, rest)
				}
			}
			return names, names != nil, nil
		},
	}
}

func mustParse(t *testing.T, text string) (*Config, Diagnostics) {
	t.Helper()
	cfg, remarks, err := parse(text)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return cfg, remarks
}

// firstDifference tells two texts apart by their first different line.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return fmt.Sprintf("line %d:\n got %s\nwant %s", i+1, a, b)
		}
	}
	return ""
}
