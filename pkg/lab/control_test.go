package lab

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// TestControlEndsWithoutReset closes the actor's end once it has read its part, whose length is any: the other end reads the end of
// the stream, and no reset.
func TestControlEndsWithoutReset(t *testing.T) {
	for n := range 1200 {
		ours, file, err := controlPair()
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := controlFrom(file)
		if err != nil {
			t.Fatal(err)
		}
		var part hello
		if err := errors.Join(ours.send(hello{Hostname: strings.Repeat("h", n)}), theirs.dec.Decode(&part)); err != nil {
			t.Fatal(err)
		}
		theirs.close()
		if _, err := ours.conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a part of %d letters: the other end reads %v, want EOF", n, err)
		}
		ours.close()
	}
}
