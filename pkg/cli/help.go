package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// commands are the sub-words. What each says of itself fits a screen of 80 columns and 24 lines.
func commands() []command {
	const socket = "It asks the running waggle of this network namespace."
	return []command{
		{
			name: "run", summary: "balance (this is the default)", usage: "-f FILE [flags]", run: runCommand,
			about:    "Without privileges all works in userspace, only slower. HAProxy's flags are taken as HAProxy takes them.",
			flags:    []string{"-f", "--datapath", "--dns-hold", "--watch-config", "--log-format", "--health-address"},
			examples: []string{"waggle -f haproxy.cfg", "waggle haproxy -W -db -f haproxy.cfg", "waggle --datapath=off --watch-config=5s -f conf.d"},
		},
		{
			name: "check", summary: "read the configuration, report every error, and exit", usage: "-f FILE [--strict] [--json]", run: checkCommand,
			about:    "Exit code 0: valid; 1: not; 2: nothing in it listens. -c is the same.",
			flags:    []string{"-f", "-q", "--strict", "--json"},
			examples: []string{"waggle check -f haproxy.cfg", "waggle check --json -f haproxy.cfg"},
		},
		{
			name: "explain", summary: "say which path serves each frontend, and why", usage: "-f FILE [--json]", run: explainCommand,
			about:    "It reads the configuration only, and needs no privileges: kernel or userspace is a matter of what a frontend asks for.",
			flags:    []string{"-f", "--json"},
			examples: []string{"waggle explain -f haproxy.cfg"},
		},
		{
			name: "completion", summary: "print completions for bash, zsh or fish", usage: "bash|zsh|fish", run: completionCommand,
			examples: []string{"source <(waggle completion bash)", "waggle completion fish | source"},
		},
		{
			name: "demo", summary: "build a small swarm on this machine and balance over it", usage: "[--once] [--tasks=N] [-- flags of run]", run: demoCommand,
			about:    "It needs root: tasks and client live in network namespaces of their own, which go when it ends. --once ends by itself.",
			examples: []string{"waggle demo --once", "waggle demo --tasks=8 -- --datapath=off"},
		},
		{
			name: "flows", summary: "list connections of the kernel path", run: flowsCommand,
			usage:    "[FILTER VALUE]... [max N] [--json]",
			about:    socket + " Filters: frontend, backend, server, state, and client, which is an address, one with a port, or a network. At most 1000 are listed unless max says more.",
			flags:    []string{"--json", "--health-socket"},
			examples: []string{"waggle flows server web/web-1 state established", "waggle flows client 10.0.0.0/8 max 20 --json"},
		},
		{
			name: "healthcheck", summary: "ask the running waggle whether it is alive", usage: "[-q]", run: healthcheckCommand,
			about:    "Exit code 0: it is; 1: it is not. It says nothing about servers: a container without any must live.",
			flags:    []string{"-q", "--health-socket"},
			examples: []string{"waggle healthcheck"},
		},
		{
			name: "stats", summary: "print what the running waggle counts, as a table", usage: "[--json]", run: statsCommand,
			about:    socket,
			flags:    []string{"--json", "--health-socket"},
			examples: []string{"waggle stats", "waggle stats --json"},
		},
		{
			name: "sysdump", summary: "write a support bundle without secrets", usage: "[-f FILE] > FILE.tar.gz", run: sysdumpCommand,
			about:    "A gzipped tar of what the running waggle answers, and of the files of -f. Passwords and keys are blanked; the environment is not in it.",
			flags:    []string{"-f", "--health-socket"},
			examples: []string{"waggle sysdump -f haproxy.cfg > waggle.tar.gz"},
		},
		{
			name: "top", summary: "show what the running waggle does now", usage: "[every SECONDS] [rounds N] [--json]", run: topCommand,
			about:    socket + " The table stays until Ctrl-C, or for a number of rounds; into a file or a pipe it goes frame by frame.",
			flags:    []string{"--json", "--health-socket"},
			examples: []string{"waggle top", "waggle top every 5 rounds 3"},
		},
		{
			name: "trace", summary: "say what would happen to a connection", usage: "CLIENT[:PORT] FRONTEND|ADDRESS:PORT [--json]", run: traceCommand,
			about:    "The kernel path is given a SYN that counts nothing and changes nothing. " + socket,
			flags:    []string{"--json", "--health-socket"},
			examples: []string{"waggle trace 192.0.2.7 tcp_in", "waggle trace 192.0.2.7:4000 192.0.2.1:8000"},
		},
		{
			name: "version", summary: "print the version", usage: "[--json]", run: versionCommand,
			flags: []string{"--json"}, examples: []string{"waggle version --json"},
		},
	}
}

// What fits a screen.
const (
	screenColumns = 80
	flagColumn    = 26 // where what a flag does begins
)

// usage is the help on everything; it names the other helps.
func usage(w io.Writer) {
	fmt.Fprint(w, `waggle balances over Docker Swarm services as an HAProxy configuration says.

Usage: waggle [run] -f FILE [flags]
       waggle COMMAND [flags]

`)
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-12s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, `
Example: waggle -f haproxy.cfg
More:    waggle help COMMAND; waggle help flags; man waggle
`)
}

// help prints the help on a word; false if there is none.
func help(w io.Writer, word string) bool {
	if word == "flags" {
		helpFlags(w)
		return true
	}
	for _, c := range commands() {
		if c.name == word {
			c.help(w)
			return true
		}
	}
	return false
}

func (c command) help(w io.Writer) {
	fmt.Fprintf(w, "waggle %s: %s\n\nUsage: waggle %s %s\n", c.name, c.summary, c.name, c.usage)
	if c.about != "" {
		fmt.Fprintf(w, "\n%s", wrapped(c.about, 0))
	}
	if len(c.flags) > 0 {
		fmt.Fprintln(w)
	}
	for _, name := range c.flags {
		if f, ok := flagNamed(name); ok {
			describe(w, f, strings.TrimSuffix(name, f.name))
		}
	}
	if c.name == "run" {
		fmt.Fprintf(w, "  %-*s%s\n", flagColumn-2, "...", "more: waggle help flags")
	}
	fmt.Fprint(w, "\nExamples:\n")
	for _, e := range c.examples {
		fmt.Fprintf(w, "  %s\n", e)
	}
}

// helpFlags lists all flags. They are more than fit a screen.
func helpFlags(w io.Writer) {
	fmt.Fprintln(w, "Flags (HAProxy's):")
	for _, f := range haproxyFlags() {
		describe(w, f, "-")
	}
	fmt.Fprintln(w, "\nHAProxy's that hardly anybody needs:")
	for _, f := range rareFlags() {
		describe(w, f, "-")
	}
	fmt.Fprintln(w, "\nFlags (waggle's; --dns-hold=x is also the variable WAGGLE_DNS_HOLD=x):")
	for _, f := range ownFlags() {
		describe(w, f, "--")
	}
}

// describe prints a flag and what it does, on more lines where it is long.
func describe(w io.Writer, f oneFlag, dashes string) {
	head := "  " + dashes + f.name + f.arg
	text := strings.TrimLeft(wrapped(f.doc, flagColumn), " ")
	if len(head) >= flagColumn {
		fmt.Fprintf(w, "%s\n%*s%s", head, flagColumn, "", text)
		return
	}
	fmt.Fprintf(w, "%-*s%s", flagColumn, head, text)
}

// flagNamed finds a flag by its name with dashes.
func flagNamed(name string) (oneFlag, bool) {
	all := slices.Concat(haproxyFlags(), rareFlags())
	if strings.HasPrefix(name, "--") {
		all = ownFlags()
	}
	for _, f := range all {
		if f.name == strings.TrimLeft(name, "-") {
			return f, true
		}
	}
	return oneFlag{}, false
}

// wrapped breaks a text into lines that fit a screen, behind an indentation.
func wrapped(text string, indent int) string {
	var out strings.Builder
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && indent+len(line)+1+len(word) > screenColumns {
			fmt.Fprintf(&out, "%*s%s\n", indent, "", line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	fmt.Fprintf(&out, "%*s%s\n", indent, "", line)
	return out.String()
}

// asksForHelp says whether a command's words do; what follows `--` is not its own.
func asksForHelp(args []string) bool {
	for _, word := range args {
		switch word {
		case "--":
			return false
		case "--help", "-h":
			return true
		}
	}
	return false
}
