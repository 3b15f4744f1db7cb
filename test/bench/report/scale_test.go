package report

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// Two runs of each; the second is twice as slow in all, which no ratio shows.
const scaleOutput = `
BenchmarkSetup/random-2 	5000	0 ns/op	1000 ns/SYN-of-1000	 500 ns/SYN-of-3	 600 ns/SYN-of-30	3000 ns/handshake-of-1000	2000 ns/handshake-of-3
BenchmarkSetup/random-2 	5000	0 ns/op	2000 ns/SYN-of-1000	1000 ns/SYN-of-3	1200 ns/SYN-of-30	6000 ns/handshake-of-1000	4000 ns/handshake-of-3
BenchmarkSetup/source-2 	5000	0 ns/op	 520 ns/SYN-of-1000	 500 ns/SYN-of-3	 600 ns/SYN-of-30
BenchmarkSetup/source-2 	5000	0 ns/op	1040 ns/SYN-of-1000	1000 ns/SYN-of-3	1200 ns/SYN-of-30
BenchmarkSetup/source-flood-2 	5000	0 ns/op	 700 ns/SYN-of-1000	 500 ns/SYN-of-3	 600 ns/SYN-of-30
BenchmarkLive-2         	4000	0 ns/op	 400 ns/packet-of-1000	 800 ns/packet-of-1000000
BenchmarkForward-2      	2000	0 ns/op	 150 ns/packet
`

func TestScaleTables(t *testing.T) {
	var out strings.Builder
	PacketMarkdown(&out, Results{Packets: ParseBenchmarks(scaleOutput)}, "chart.svg")
	for _, want := range []string{
		"](chart.svg)",
		"| ns | 3 | 30 | 1,000 | 1,000 to 3 | goal |",
		"| random, SYN | 750 | 900 | 1,500 | ×2.00 [2.00–2.00] | ≤ 1.10: MISSED, but too few rounds |",
		"| random, handshake | 3,000 | – | 4,500 | ×1.50 [1.50–1.50] | – |",
		"| source, SYN | 750 | 900 | 780 | ×1.04 [1.04–1.04] | ≤ 1.10: met, but too few rounds |",
		"| source, SYN of a flood | 500 | 600 | 700 | ×1.40 [1.40–1.40] | – |",
		"| ns | 1,000 | 1,000,000 | 1,000,000 to 1,000 | goal |",
		"| Live, packet | 400 | 800 | ×2.00 [2.00–2.00] | ≤ 3.00: met, but too few rounds |",
		"| Forward: client to server, of an established flow | 150 | 150–150 | 1 | ns/packet |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestScaleChart(t *testing.T) {
	var out strings.Builder
	drawn, err := ScaleChart(&out, Results{Packets: ParseBenchmarks(scaleOutput)})
	if err != nil || !drawn {
		t.Fatal(drawn, err)
	}
	for d := xml.NewDecoder(strings.NewReader(out.String())); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if lines := strings.Count(out.String(), "<polyline"); lines != 3 { // random, source, live
		t.Errorf("%d lines in\n%s", lines, out.String())
	}
	for _, want := range []string{">random ×2.00<", ">source ×1.04<", ">×2.00<", ">1,000,000<", ">live flows<"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
	if drawn, err := ScaleChart(&out, Results{Packets: ParseBenchmarks(benchmarkOutput)}); drawn || err != nil {
		t.Errorf("a chart of nothing: %v, %v", drawn, err)
	}
}

func TestNamesOfCurvesDoNotCoverEachOther(t *testing.T) {
	got := spread([]curveName{{100, "a"}, {110, "b"}, {105, "c"}})
	for i, want := range []curveName{{110, "b"}, {94, "c"}, {78, "a"}} {
		if got[i] != want {
			t.Errorf("%d: %v, want %v", i, got[i], want)
		}
	}
}
