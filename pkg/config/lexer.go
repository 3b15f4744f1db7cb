package config

import (
	"fmt"
	"strings"
)

// What a line may have. The number of words is HAProxy's (its MAX_LINE_ARGS); its length, in bytes, is not limited there: the buffer of
// LINESIZE is only what reading begins with.
const (
	maxLine  = 1 << 20
	maxWords = 64
)

// word is one argument of a line, after quotes, escapes and variables.
type word struct {
	text string
	col  int // of its first character in the source line, from 1
}

// lexError is a mistake in the form of a line.
type lexError struct {
	col  int
	text string
}

// lexer splits one line into words by HAProxy's rules (configuration manual 2.2 and 2.3): outside
// quotes and inside double quotes a backslash escapes, inside double quotes variables are replaced,
// inside single quotes nothing is special.
type lexer struct {
	in       string
	at       int
	variable func(name string) (value string, set bool)

	words  []word
	cur    strings.Builder
	inWord bool
	start  int  // column of the current word
	quote  byte // ' or " while inside, else 0
	opened int  // column of that quote
}

// lexLine gives the words of a line, without its line feed.
func lexLine(in string, variable func(string) (string, bool)) ([]word, *lexError) {
	if len(in) >= maxLine {
		return nil, &lexError{col: maxLine, text: fmt.Sprintf("line too long, limit: %d", maxLine-1)}
	}
	l := lexer{in: in, variable: variable}
	for l.at < len(l.in) {
		stop, err := l.step()
		if err != nil {
			return nil, err
		}
		if stop {
			break
		}
	}
	if l.quote != 0 {
		return nil, &lexError{col: l.opened, text: "unmatched quote"}
	}
	l.endWord()
	if len(l.words) > maxWords {
		w := l.words[maxWords]
		return nil, &lexError{col: w.col, text: fmt.Sprintf("too many words, the limit is %d", maxWords)}
	}
	return l.words, nil
}

// step consumes one character or one escape or variable; stop says that the rest is a comment.
func (l *lexer) step() (stop bool, err *lexError) {
	c := l.in[l.at]
	switch {
	case c == '\r' || c == '\n':
		return true, nil
	case c == 0:
		return false, l.errorAt(l.at, "unexpected NUL character")
	case c == '#' && l.quote == 0:
		return true, nil
	case (c == '"' || c == '\'') && (l.quote == 0 || l.quote == c):
		l.toggleQuote(c)
	case c == '\\' && l.quote != '\'':
		return false, l.escape()
	case isBlank(c) && l.quote == 0:
		l.endWord()
		l.at++
	case c == '$' && l.quote == '"':
		return false, l.expand()
	default:
		l.put(c)
		l.at++
	}
	return false, nil
}

func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func (l *lexer) errorAt(at int, text string) *lexError {
	return &lexError{col: at + 1, text: text}
}

func (l *lexer) begin() {
	if !l.inWord {
		l.inWord = true
		l.start = l.at + 1
	}
}

func (l *lexer) put(c byte) {
	l.begin()
	l.cur.WriteByte(c)
}

func (l *lexer) endWord() {
	if l.inWord {
		l.words = append(l.words, word{text: l.cur.String(), col: l.start})
		l.cur.Reset()
		l.inWord = false
	}
}

func (l *lexer) toggleQuote(c byte) {
	l.begin()
	if l.quote == c {
		l.quote = 0
	} else {
		l.quote = c
		l.opened = l.at + 1
	}
	l.at++
}

// escape consumes a backslash and what it escapes. A backslash before any other character stays, so
// that regular expressions need no doubling.
func (l *lexer) escape() *lexError {
	l.begin()
	next := byte(0)
	if l.at+1 < len(l.in) {
		next = l.in[l.at+1]
	}
	switch next {
	case ' ', '\\', '#', '\'', '"':
		l.cur.WriteByte(next)
	case 'n':
		l.cur.WriteByte('\n')
	case 'r':
		l.cur.WriteByte('\r')
	case 't':
		l.cur.WriteByte('\t')
	case '$':
		if l.quote == 0 {
			l.cur.WriteByte('\\')
		}
		l.cur.WriteByte('$')
	case 'x':
		high, ok := hexDigit(l.in, l.at+2)
		low, ok2 := hexDigit(l.in, l.at+3)
		if !ok || !ok2 {
			return l.errorAt(l.at, "truncated or invalid hexadecimal sequence")
		}
		l.cur.WriteByte(high<<4 | low)
		l.at += 2
	default:
		l.cur.WriteByte('\\')
		l.at--
	}
	l.at += 2
	return nil
}

func hexDigit(s string, i int) (byte, bool) {
	if i >= len(s) {
		return 0, false
	}
	switch c := s[i]; {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
