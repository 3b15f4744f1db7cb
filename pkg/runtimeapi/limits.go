package runtimeapi

import (
	"strconv"
	"strings"

	"waggle/pkg/pool"
)

// limitCommands change how many connections there may be, on both paths together.
func limitCommands() []command {
	return []command{
		{[]string{"set", "maxconn", "server"}, Admin, "set maxconn server <bk>/<srv> <n>", "change a server's limit of sessions; 0 for none", setMaxConnServer},
		{[]string{"set", "maxconn", "frontend"}, Admin, "set maxconn frontend <frontend> <n>", "change a frontend's limit of sessions", setMaxConnFrontend},
		{[]string{"set", "maxconn", "global"}, Admin, "set maxconn global <n>", "change the limit of connections; 0 for the configured one", setMaxConnGlobal},
	}
}

func setMaxConnServer(c *session, args []string) string {
	s, _, msg := c.target(args)
	if msg != "" {
		return msg
	}
	text := word(args, 1)
	if text == "" {
		return "Require <maxconn>.\n"
	}
	n, rest := leadingNumber(text)
	switch {
	case rest == text:
		return "maxconn string empty or preceded by garbage"
	case rest != "":
		return "Trailing garbage in maxconn string"
	}
	s.SetLimit(max(0, n)) // a negative one is as good as none, as in HAProxy
	return ""
}

// leadingNumber reads the number that a text begins with, as strtol(3) does; rest is what follows it,
// or all of it if there is none. What is out of range for us is the largest that is not.
func leadingNumber(text string) (n int, rest string) {
	digits := text
	if strings.HasPrefix(digits, "-") || strings.HasPrefix(digits, "+") {
		digits = digits[1:]
	}
	end := 0
	for end < len(digits) && '0' <= digits[end] && digits[end] <= '9' {
		end++
	}
	if end == 0 {
		return 0, text
	}
	rest = digits[end:]
	wide, err := strconv.ParseInt(text[:len(text)-len(rest)], 10, 32)
	_ = err // of a number that is out of range the nearest one is given
	return int(wide), rest
}

// frontend finds the frontend that a word names; the message is empty if there is one.
func (c *session) frontend(args []string) (*pool.Frontend, string) {
	name := word(args, 0)
	if name == "" {
		return nil, "A frontend name is expected.\n"
	}
	for _, p := range c.snapshot().Proxies {
		if p.Frontend != nil && (p.Frontend.Name == name || name == "#"+strconv.Itoa(p.Frontend.ID)) {
			return p.Frontend, ""
		}
	}
	return nil, "No such frontend.\n"
}

func setMaxConnFrontend(c *session, args []string) string {
	f, msg := c.frontend(args)
	if msg != "" {
		return msg
	}
	text := word(args, 1)
	if text == "" {
		return "Integer value expected.\n"
	}
	n, _ := leadingNumber(text)
	if n < 0 {
		return "Value out of range.\n"
	}
	f.SetLimit(n)
	return ""
}

// setMaxConnGlobal cannot go beyond what the process was started with: its files would not suffice.
func setMaxConnGlobal(c *session, args []string) string {
	text := word(args, 0)
	if text == "" {
		return "Expects an integer value.\n"
	}
	s := c.snapshot()
	n, _ := leadingNumber(text)
	switch hard := s.Process.MaxConn; {
	case hard > 0 && n > hard:
		return "Value out of range.\n"
	case n <= 0:
		n = hard
	}
	s.Pool.SetLimit(n)
	return ""
}
