package golden

import (
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// waitScript is one file of testdata/queues: a txtar archive of haproxy.cfg, where {{f1}} … are addresses to bind, {{s1}} …
// servers that keep their clients until they are told to answer, {{cli}} the stats socket and {{log}} who gathers log lines,
// and of steps. A step is
//
//	come NAME [fN] [header:value]…   a client connects and asks
//	end NAME                         its server answers
//	leave NAME                       the client closes its connection
//	cli COMMAND                      the stats socket is told something
//
// and below it, indented, is what the state comes to, all at one moment:
//
//	NAME s1 | waits | 503 | closed   the server that has the client, or what it has been answered
//	PROXY/ROW column=value…          of `show stat`
//	log TEXT                         a line has come that contains it
//	says TEXT                        the answer to the command contains it
type waitScript struct {
	config       string
	steps        []waitStep
	haproxyLacks string // why HAProxy 2.6 is not asked; "" means that it is
}

type waitStep struct {
	line     int
	words    []string
	expected [][]string
}

func readWaiting(t *testing.T, file string) *waitScript {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &waitScript{haproxyLacks: waggleOnly(archive)}
	for _, f := range archive.Files {
		switch f.Name {
		case "haproxy.cfg":
			s.config = string(f.Data)
		case "steps":
			s.parse(t, string(f.Data))
		default:
			t.Fatalf("%s: what is %s?", file, f.Name)
		}
	}
	return s
}

func (s *waitScript) parse(t *testing.T, text string) {
	t.Helper()
	n := 0
	for line := range strings.Lines(text) {
		n++
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0][0] == '#':
		case line[0] != ' ':
			s.steps = append(s.steps, waitStep{line: n, words: words})
		case len(s.steps) == 0:
			t.Fatalf("line %d: an expectation without a step", n)
		default:
			last := &s.steps[len(s.steps)-1]
			last.expected = append(last.expected, words)
		}
	}
}
