package page

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	p := Parse("# A [title](x.md), `--flag`\n" +
		"Say `make test` or `show stat`, see [that](a/b.md#c-d) and <https://example.com/>. Not `[x](y)`, nor `disable server`.\n" +
		"\n" +
		"    waggle -f a \\\n" +
		"      -f b   # two\n" +
		"    # a comment\n" +
		"    bpftool net\n" +
		"\n" +
		"- an item\n" +
		"    that goes on `tc -h`\n" +
		"\n" +
		"  ```sh\n" +
		"  sysctl -w a=b\n" +
		"  ```\n" +
		"````text\n" +
		"``` picture\n" +
		"````\n" +
		"```haproxy\n" +
		"backend b\n" +
		"\n" +
		"    server s\n" +
		"```\n" +
		"| `show sess <id>` | `waggle is ready` | `a\\|b` |\n" +
		"## a title --flag\n")
	want := []Line{{4, "waggle -f a   -f b   # two"}, {7, "bpftool net"}, {13, "sysctl -w a=b"}, {2, "make test"}, {2, "show stat"}, {10, "tc -h"}}
	want[0].Text = "waggle -f a -f b   # two"
	if diff := cmp.Diff(want, p.Commands()); diff != "" {
		t.Error("commands: -want +got\n", diff)
	}
	if diff := cmp.Diff([]Link{{1, "x.md"}, {2, "a/b.md#c-d"}, {2, "https://example.com/"}}, p.Links); diff != "" {
		t.Error("links: -want +got\n", diff)
	}
	if diff := cmp.Diff([]string{"a-title---flag", "a-title---flag"}, p.Anchors); diff == "" {
		t.Error("of two headings of one name both have the same anchor")
	}
	if got := p.Blocks[len(p.Blocks)-1]; got.Language != "haproxy" || got.Line != 19 || len(got.Lines) != 3 {
		t.Errorf("the last block is %+v", got)
	}
	if got := p.Blocks[2]; got.Language != "text" || got.Lines[0].Text != "``` picture" {
		t.Errorf("the third block is %+v", got)
	}
	if got := p.Code[len(p.Code)-1].Text; got != "a|b" {
		t.Errorf("the last code is %q", got)
	}
}

func TestAnchors(t *testing.T) {
	for title, want := range map[string]string{
		"On the host's network":                     "on-the-hosts-network",
		"1. Ask whether it can be honoured":         "1-ask-whether-it-can-be-honoured",
		"`Server … is DOWN`":                        "server--is-down",
		"HTTP/2":                                    "http2",
		"What [that](x.md) means":                   "what-that-means",
		"keys_of maps":                              "keys_of-maps",
		"Parameters of bind lines, and of `server`": "parameters-of-bind-lines-and-of-server",
	} {
		if got := anchor(title, map[string]int{}); got != want {
			t.Errorf("%q has the anchor %q, want %q", title, got, want)
		}
	}
}
