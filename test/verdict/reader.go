package main

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	// mostLines is how long a verdict may be, but for the names of more tests that failed than fit.
	mostLines = 30
	// leastOfATest is how many lines a test that failed gets, however many others did.
	leastOfATest = 3
	// longestLine cuts a line, in bytes.
	longestLine = 400
	// mostKept bounds what is kept of one test, in messages, and of one message, in lines.
	mostKept = 100
)

// message is what a test says at one place, in lines; or a compiler, or the runtime when the program dies.
type message []string

// failed is a test that failed; or a package, if its tests could not be built or it died.
type failed struct {
	name     string
	messages []message
}

// reader finds in the output of go test what failed.
type reader struct {
	begun   []byte // a line that has not ended
	failed  []*failed
	pending []message // said by what has not been named yet: go test -v names a test after what it said
	current *failed   // whose messages come now; nil: nobody's
	open    bool      // the last message may go on
}

var (
	outcome = regexp.MustCompile(`^ *--- (FAIL|PASS|SKIP): (\S+)`)
	said    = regexp.MustCompile(`^ +\w+\.go:\d+: `)
	broken  = regexp.MustCompile(`^(\S+\.go:\d+:|panic:|fatal error:|signal:|WARNING: DATA RACE)`)
	summary = regexp.MustCompile(`^FAIL\t(\S+)(?:\s+\[(.*)\])?`)
)

// Write reads a part of the output.
func (r *reader) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		r.begun = append(r.begun, line[:min(len(line), longestLine-len(r.begun))]...)
		if ended {
			r.end()
		}
		rest = after
	}
	return len(p), nil
}

// end takes the line that was begun as one.
func (r *reader) end() {
	r.read(strings.ToValidUTF8(string(r.begun), ""))
	r.begun = r.begun[:0]
}

func (r *reader) read(line string) {
	if m := outcome.FindStringSubmatch(line); m != nil {
		r.name(m[1] == "FAIL", m[2])
		return
	}
	if m := summary.FindStringSubmatch(line); m != nil {
		r.endPackage(m[1], m[2])
		return
	}
	switch {
	case strings.HasPrefix(line, "=== "), strings.HasPrefix(line, "ok  "), line == "FAIL", line == "PASS":
		r.open, r.current = false, nil
	case said.MatchString(line), broken.MatchString(line):
		r.add(message{line})
	case r.open && strings.TrimSpace(line) != "":
		r.goOn(line)
	}
}

// name attributes what was said, and what will be, to a test.
func (r *reader) name(failure bool, test string) {
	r.open, r.current = false, nil
	if failure {
		r.current = &failed{name: test, messages: r.pending}
		r.failed = append(r.failed, r.current)
	}
	r.pending = nil
}

// endPackage attributes to a package what no test was named for. Of a package whose tests failed, they tell.
func (r *reader) endPackage(name, why string) {
	if len(r.pending) > 0 || why != "" {
		if why != "" {
			name += ": " + why
		}
		r.name(true, name)
	}
	r.open, r.current, r.pending = false, nil, nil
}

func (r *reader) add(m message) {
	r.open = true
	list := &r.pending
	if r.current != nil {
		list = &r.current.messages
	}
	if len(*list) == mostKept {
		*list = slices.Delete(*list, mostKept/2, mostKept/2+1) // the first and the last are worth most
	}
	*list = append(*list, m)
}

func (r *reader) goOn(line string) {
	list := r.pending
	if r.current != nil {
		list = r.current.messages
	}
	if last := &list[len(list)-1]; len(*last) < mostKept {
		*last = append(*last, line)
	}
}

// verdict is what failed: each test that has no subtest which failed, with the first and the last of what it said.
func (r *reader) verdict() []string {
	var leaves []*failed
	for _, f := range r.failed {
		if len(f.messages) > 0 || !r.hasSubtest(f) {
			leaves = append(leaves, f)
		}
	}
	lines := []string{"", fmt.Sprintf("What failed, once more (%d):", len(leaves))}
	for i, f := range leaves {
		if room := mostLines - len(lines); room < leastOfATest {
			return append(lines, fmt.Sprintf("… and %d more", len(leaves)-i))
		}
		lines = append(lines, f.lines(max(leastOfATest, (mostLines-len(lines))/(len(leaves)-i)))...)
	}
	return lines
}

func (r *reader) hasSubtest(f *failed) bool {
	return slices.ContainsFunc(r.failed, func(other *failed) bool { return strings.HasPrefix(other.name, f.name+"/") })
}

// lines tells about a test in no more lines than there is room.
func (f *failed) lines(room int) []string {
	lines := []string{"failed: " + f.name} // not as go test says it, so that nobody who looks for that counts it twice
	shown := f.messages
	if most := room - 1; len(shown) > most {
		shown = slices.Concat(shown[:most/2], shown[len(shown)-(most-most/2):])
	}
	for i, m := range shown {
		share := max(1, (room-len(lines))/(len(shown)-i))
		lines = append(lines, m[:min(len(m), share)]...)
	}
	return lines
}
