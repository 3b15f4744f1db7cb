package runtimeapi

import (
	"bufio"
	"errors"
	"strings"
	"time"
)

// maxPayload bounds the lines that come with a command, in bytes. HAProxy's bound is its buffer.
const maxPayload = 1 << 20

// readPayload reads the lines that a command has behind it if its last word is `<<`: up to an empty line, or to one with what
// stands right behind `<<`, as in HAProxy 3. It returns the command without that word, and false when the client has gone or must.
func (c *session) readPayload(line string, in *bufio.Reader) (string, bool) {
	c.payload = nil
	trimmed := strings.TrimRight(line, " \t\r\n")
	at := strings.LastIndexAny(trimmed, " \t") + 1
	end, ok := strings.CutPrefix(trimmed[at:], "<<")
	if !ok {
		return line, true
	}
	lines := []string{}
	for size := 0; ; {
		c.conn.SetReadDeadline(time.Now().Add(c.idle))
		raw, err := in.ReadSlice('\n')
		if size += len(raw); size > maxPayload || errors.Is(err, bufio.ErrBufferFull) {
			c.write("The command line is too long.\n\n")
			return "", false
		}
		if err != nil { // what is not whole is not done
			return "", false
		}
		text := strings.TrimRight(string(raw), "\r\n")
		if text == end {
			c.payload = lines
			return trimmed[:at], true
		}
		lines = append(lines, text)
	}
}
