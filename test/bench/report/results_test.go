package report

import (
	"reflect"
	"strings"
	"testing"
)

func TestRawValuesSurvive(t *testing.T) {
	want := measured()
	want.Packets = []Packets{{"SYN/servers=3", "ns/packet", 1234.5}}
	want.Failures = []Failure{{Suite: "s", Contender: "b", Round: 2, Error: "why"}}
	var file strings.Builder
	for _, l := range want.Lines() {
		if err := l.Write(&file); err != nil {
			t.Fatal(err)
		}
	}
	if lines := strings.Count(file.String(), "\n"); lines != 1+len(want.Samples)+2 {
		t.Errorf("%d lines", lines)
	}
	got, err := Read(strings.NewReader(file.String()))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestReadRejects(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "no line says what was run",
		`{"sample":{}}`:                  "no line says what was run",
		"{\"run\":{\"suite\":\"s\"}}\n{": "line 2",
		`{"run":{"suite":7}}`:            "line 1",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
