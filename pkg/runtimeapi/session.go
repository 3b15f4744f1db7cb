package runtimeapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"waggle/pkg/stats"
)

// maxArgs is the number of words that a command may have, as in HAProxy.
const maxArgs = 64

// session is one client.
type session struct {
	server *Server
	ctx    context.Context // ends with the server
	conn   net.Conn
	level  Level
	idle   time.Duration

	in     *bufio.Reader                      // what the client sends; nil in tests of single commands
	follow func(write func(string) bool) bool // what the command has to say besides its answer, bit by bit; false if the client has gone

	payload []string // lines that came with the last command of a line, nil without

	interactive bool // stays for another line
	prompt      bool // shows a prompt before it
	quit        bool
}

// run reads lines and answers them until the client leaves or has to.
func (c *session) run() {
	in := bufio.NewReaderSize(c.conn, c.server.opts.MaxLine)
	c.in = in
	for !c.quit {
		c.conn.SetReadDeadline(time.Now().Add(c.idle))
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			c.write("The command line is too long.\n\n")
			return
		case errors.Is(err, io.EOF) && len(line) > 0: // a last line may come without its end
			c.quit = true
		case err != nil:
			return
		}
		command, ok := c.readPayload(string(line), in)
		if !ok || !c.line(command, c.write) || !c.interactive {
			return
		}
	}
}

// write reports whether the client has taken all of s. It may take as long as it likes, as with HAProxy, while it takes something
// within each idle time.
func (c *session) write(s string) bool {
	for {
		c.conn.SetWriteDeadline(time.Now().Add(c.idle))
		n, err := io.WriteString(c.conn, s)
		if err == nil {
			return true
		}
		if s = s[n:]; n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
	}
}

// line runs the commands of one line and hands the answer of each to write before the next one runs: there may be thousands, each
// of which has much to tell. It returns false when the client has gone, or wants to.
func (c *session) line(line string, write func(string) bool) bool {
	if strings.TrimSpace(line) != "" || !c.interactive {
		commands := split(line)
		payload := c.payload
		for i, words := range commands {
			if c.quit && len(words) == 0 {
				continue
			}
			if c.payload = nil; i == len(commands)-1 {
				c.payload = payload
			}
			answer := c.execute(words)
			if len(words) > 0 && words[0] == "quit" {
				return false
			}
			if follow := c.follow; follow != nil {
				if c.follow = nil; !follow(write) {
					return false
				}
			}
			if !write(answer + "\n") {
				return false
			}
		}
	}
	return !c.prompt || c.quit || write("> ")
}

// execute runs one command and returns its answer without the empty line.
func (c *session) execute(words []string) string {
	if len(words) > maxArgs {
		return "Too many arguments. Commands must have at most 64 arguments.\n"
	}
	cmd, args := c.server.find(words)
	switch {
	case cmd == nil:
		return c.server.unknown(words)
	case c.level < cmd.level:
		return "Permission denied\n"
	default:
		return cmd.run(c, args)
	}
}

func (c *session) snapshot() *stats.Snapshot { return c.server.src.Snapshot() }

// split separates a line into commands at semicolons, and those into words at white space. A backslash
// keeps the character after it from doing either.
func split(line string) [][]string {
	var commands [][]string
	var words []string
	var word strings.Builder
	inWord, escaped := false, false
	endWord := func() {
		if inWord {
			words = append(words, word.String())
			word.Reset()
			inWord = false
		}
	}
	for _, r := range strings.TrimRight(line, "\r\n") {
		switch {
		case escaped:
			word.WriteRune(r)
			inWord, escaped = true, false
		case r == '\\':
			escaped = true
		case r == ';':
			endWord()
			commands, words = append(commands, words), nil
		case r == ' ' || r == '\t':
			endWord()
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	endWord()
	if len(words) > 0 || len(commands) == 0 {
		commands = append(commands, words)
	}
	return commands
}
