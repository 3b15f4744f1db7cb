package report

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const benchmarkOutput = `goos: linux
pkg: waggle/pkg/datapath
BenchmarkForward-2       	    2000	         0 ns/op	       227.5 ns/packet
BenchmarkForward-2       	    2000	         0 ns/op	       252.1 ns/packet
BenchmarkSYN/servers=1-000-2 	  100	         0 ns/op	      3595 ns/packet	     12.00 B/flow
BenchmarkLog-2 some text that a test logged
Benchmark
--- BENCH: BenchmarkX-2
PASS
ok  	waggle/pkg/datapath	1.083s
`

func TestParseBenchmarks(t *testing.T) {
	want := []Packets{
		{"Forward", "ns/packet", 227.5}, {"Forward", "ns/packet", 252.1},
		{"SYN/servers=1-000", "ns/packet", 3595}, {"SYN/servers=1-000", "B/flow", 12},
	}
	got := ParseBenchmarks(benchmarkOutput)
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	oneCPU := strings.NewReplacer("Forward-2", "Forward", "1-000-2", "1-000").Replace(benchmarkOutput)
	if got := ParseBenchmarks(oneCPU); !slices.Equal(got, want) {
		t.Errorf("with one CPU: got %+v, want %+v", got, want)
	}
}

func TestPacketTable(t *testing.T) {
	var text, markdown strings.Builder
	r := Results{Run: Run{Command: "go run it", Machine: "here"}, Packets: ParseBenchmarks(benchmarkOutput)}
	PacketText(&text, r)
	PacketMarkdown(&markdown, r, "")
	if !strings.Contains(text.String(), "  Forward               240               234–246     2  ns/packet\n") {
		t.Errorf("text:\n%s", text.String())
	}
	if !strings.Contains(markdown.String(), "| Forward: client to server, of an established flow | 240 | 234–246 | 2 | ns/packet |\n") || !strings.HasPrefix(markdown.String(), "Made by `go run it`") {
		t.Errorf("markdown:\n%s", markdown.String())
	}
}

// What is explained is measured.
func TestMeaningsAreOfBenchmarks(t *testing.T) {
	files, err := filepath.Glob("../../../pkg/datapath/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var code strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(text)
	}
	for name := range meanings {
		function, _, _ := strings.Cut(name, "/")
		if !strings.Contains(code.String(), "func Benchmark"+function+"(") {
			t.Errorf("there is no Benchmark%s", function)
		}
	}
}
