package runtimeapi

import (
	"fmt"
	"slices"
	"strings"
)

// command is one command of the API. The table of them is what `help` shows.
type command struct {
	words []string // all have to be there, exactly
	level Level    // needed to use it
	usage string   // with its arguments
	help  string
	run   func(c *session, args []string) string // args are the words after the command's own
}

// commands returns the table of commands.
func commands() []command {
	return slices.Concat(showCommands(), serverCommands(), limitCommands(), dynamicCommands(), processCommands(), insideCommands(), flowCommands(), traceCommands(), pathCommands(), frontendCommands(), tableCommands(), patternCommands(), eventCommands(), sessionCommands())
}

// Usage is a command as documents show it.
type Usage struct {
	Line  string // with its arguments
	Level Level  // needed to use it
	Help  string
}

// Usages lists all commands in the order of their lines.
func Usages() []Usage {
	var all []Usage
	for _, c := range commands() {
		all = append(all, Usage{c.usage, c.level, c.help})
	}
	slices.SortFunc(all, func(a, b Usage) int { return strings.Compare(a.Line, b.Line) })
	return all
}

func sessionCommands() []command {
	return []command{
		{[]string{"help"}, User, "help [<command>]", "list matching or all commands", help},
		{[]string{"prompt"}, User, "prompt [n|i|p]", "stay for more commands, with or without a prompt", prompt},
		{[]string{"quit"}, User, "quit", "leave", quit},
		{[]string{"operator"}, Operator, "operator", "go down to the level operator", lower(Operator)},
		{[]string{"user"}, User, "user", "go down to the level user", lower(User)},
		{[]string{"show", "cli", "level"}, User, "show cli level", "tell the level of this session",
			func(c *session, _ []string) string { return c.level.String() + "\n" }},
		{[]string{"set", "timeout", "cli"}, User, "set timeout cli <delay>", "how long this session may be idle", setTimeout},
	}
}

// find returns the command that a line begins with, and the words after it. Of several the one with
// the most words counts.
func (s *Server) find(words []string) (*command, []string) {
	var best *command
	for i := range s.commands {
		cmd := &s.commands[i]
		if matching(cmd.words, words) == len(cmd.words) && (best == nil || len(cmd.words) > len(best.words)) {
			best = cmd
		}
	}
	if best == nil {
		return nil, nil
	}
	return best, words[len(best.words):]
}

// matching counts the words at the beginning that two lists have in common.
func matching(a, b []string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// unknown says that there is no such command, and which others begin like it.
func (s *Server) unknown(words []string) string {
	if len(words) == 0 {
		return "Unknown command: ''. Please enter one of the following commands only:\n" + s.list(nil)
	}
	best := 0
	for i := range s.commands {
		best = max(best, matching(s.commands[i].words, words))
	}
	return "Unknown command: '" + printable(words[0]) + "', but maybe one of the following ones is a better match:\n" + s.list(words[:best])
}

// list writes a line for each command that begins with the given words.
func (s *Server) list(prefix []string) string {
	var lines []string
	for i := range s.commands {
		if cmd := &s.commands[i]; matching(cmd.words, prefix) == len(prefix) {
			lines = append(lines, fmt.Sprintf("  %-40s: %s\n", cmd.usage, cmd.help))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func help(c *session, args []string) string {
	n := 0
	for i := range c.server.commands {
		n = max(n, matching(c.server.commands[i].words, args))
	}
	return "The following commands are valid at this level:\n" + c.server.list(args[:n])
}

// prompt switches between one line and many: without an argument it turns prompts on or off.
func prompt(c *session, args []string) string {
	mode := ""
	if len(args) > 0 {
		mode = args[0]
	}
	switch mode {
	case "n":
		c.interactive, c.prompt = false, false
	case "i":
		c.interactive, c.prompt = true, false
	case "p":
		c.interactive, c.prompt = true, true
	case "":
		on := !c.prompt
		c.interactive, c.prompt = on, on
	default:
		return "'prompt' expects 'n', 'i' or 'p'.\n"
	}
	return ""
}

func quit(c *session, _ []string) string {
	c.quit = true
	return ""
}

// lower makes a command that gives rights up; they do not come back.
func lower(to Level) func(*session, []string) string {
	return func(c *session, _ []string) string {
		c.level = min(c.level, to)
		return ""
	}
}

// printable keeps what a client sent from controlling a terminal that shows our answer.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}
