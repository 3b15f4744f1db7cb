// Compatdoc writes docs/haproxy-compatibility.md from the tables that the configuration parser uses.
package main

import (
	"fmt"
	"os"
	"strings"

	"waggle/pkg/config"
	"waggle/pkg/runtimeapi"
	"waggle/pkg/sample"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: compatdoc FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], []byte(document()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const introduction = `# Compatibility with HAProxy's configuration

<!-- Made by "go generate ./pkg/config" from the tables of the parser and of the Runtime API. Do not edit. -->

waggle reads the configuration language of HAProxy 3.2. Every keyword of that version has one of three statuses:

- **supported**: it does what HAProxy's manual says.
- **ignored**: accepted with a notice, since ignoring it changes nothing that can be seen from outside.
- **not yet**: an error that says so. waggle never starts with a configuration that it would only follow in part.

A keyword that is in no table is a mistake, and the error suggests what may have been meant.
`

const differences = `
## Where waggle differs

- A last line without a line feed is a warning; HAProxy refuses the file.
- An unknown ` + "`default_backend`" + ` is reported with its line.
- A TCP frontend cannot use an HTTP backend (HAProxy upgrades the connection).
- Host names are allowed on server lines only: ` + "`bind`" + `, name servers and ACL patterns need addresses.
- Numbers are read strictly: ` + "`maxconn 10x`" + ` is an error, where HAProxy takes the digits and drops the rest.
- The header names and values of rules are checked, so that a configuration cannot send a broken message.
- A misspelled section is one error; its lines are not read.
- Regular expressions are RE2's: linear time, without look-around and back-references.
- Rules may add 32 MB to a file of patterns or a map until the next reload, since clients may choose its keys; HAProxy knows no limit. What the Runtime API adds is not bounded, and takes the level operator.
`

func document() string {
	var b strings.Builder
	b.WriteString(introduction + differences)
	for _, g := range config.Keywords() {
		writeGroup(&b, g)
	}
	writeExpressions(&b)
	writeCommands(&b)
	return b.String()
}

func writeGroup(b *strings.Builder, g config.KeywordGroup) {
	count := map[config.Status]int{}
	for _, k := range g.Keywords {
		count[k.Status]++
	}
	fmt.Fprintf(b, "\n## %s\n\n%d supported, %d ignored, %d not yet.\n", g.Title, count[config.Supported], count[config.Ignored], count[config.Unsupported])
	if count[config.Supported] > 0 {
		b.WriteString("\n| keyword | what it is | sections |\n| --- | --- | --- |\n")
	}
	for _, k := range g.Keywords {
		if k.Status == config.Supported {
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", escape(strings.TrimSpace(k.Name+" "+k.Args)), escape(k.Doc), k.Where)
		}
	}
	writeFamilies(b, g, config.Ignored, "Ignored")
	writeFamilies(b, g, config.Unsupported, "Not yet")
	writeFamilies(b, g, config.Removed, "Gone from HAProxy too")
}

// writeFamilies lists the keywords of a status by what they are about.
func writeFamilies(b *strings.Builder, g config.KeywordGroup, status config.Status, title string) {
	var order []string
	names := map[string][]string{}
	for _, k := range g.Keywords {
		if k.Status != status {
			continue
		}
		about := k.Doc
		if k.Why != "" {
			about += " (" + k.Why + ")"
		}
		if names[about] == nil {
			order = append(order, about)
		}
		names[about] = append(names[about], "`"+k.Name+"`")
	}
	if len(order) > 0 {
		fmt.Fprintf(b, "\n%s:\n\n", title)
	}
	for _, about := range order {
		fmt.Fprintf(b, "- %s: %s\n", about, strings.Join(names[about], ", "))
	}
}

func writeExpressions(b *strings.Builder) {
	n := sample.AllNames()
	b.WriteString("\n## Expressions and ACLs\n\nAnonymous ACLs `{ … }`, `!`, `or`, `||`, `if`, `unless`, named ACLs of several lines, and the flags `-i`, `-m`, `-f`, `-n`, `-u` and `--` work as in HAProxy.\n\n")
	list := func(title string, names []string) {
		fmt.Fprintf(b, "- %s: `%s`\n", title, strings.Join(names, "`, `"))
	}
	list("Fetches", n.Fetches)
	list("Fetches that also exist with a match method behind them, as in `path_beg`", n.Suffixed)
	list("Match methods", n.Methods)
	list("Converters", n.Converters)
	list("Predefined ACLs", n.Predefined)
	list("Fetches not supported yet", n.ForeignFetches)
	list("Converters not supported yet", n.ForeignConverters)
}

func writeCommands(b *strings.Builder) {
	b.WriteString("\n## Runtime API\n\nThe commands of a `stats socket`. Any other is answered with the list of those that match.\n\n| command | what it does | level |\n| --- | --- | --- |\n")
	for _, c := range runtimeapi.Usages() {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", escape(c.Line), escape(c.Help), c.Level)
	}
}

func escape(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
