// Command reasongen makes the Go list of drop reasons from the C one, so that there is one list.
//
//	reasongen ../../bpf/reasons.h reasons_gen.go
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"os"
	"regexp"
)

var entry = regexp.MustCompile(`(PASS|DROP)\((\w+), "(\w+)", (NORMAL|ODD), "([^"]+)"\)`)

// generate returns the Go source for the reasons found in header, in their order.
func generate(header []byte) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("// Code generated from bpf/reasons.h by reasongen; DO NOT EDIT.\n\npackage datapath\n\n")
	out.WriteString("// Values of enum wg_reason.\nconst (\n\treasonNone = iota\n")
	found := entry.FindAllSubmatch(header, -1)
	if len(found) == 0 {
		return nil, fmt.Errorf("no reasons found")
	}
	for _, m := range found {
		fmt.Fprintf(&out, "\treason%s\n", camel(string(m[3])))
	}
	out.WriteString("\treasonCount\n)\n\n// reasonTable is indexed by enum wg_reason.\nvar reasonTable = [reasonCount]Reason{\n")
	for _, m := range found {
		fmt.Fprintf(&out, "\treason%s: {Name: %q, Help: %q, Drop: %v, Expected: %v},\n",
			camel(string(m[3])), m[3], m[5], string(m[1]) == "DROP", string(m[4]) == "NORMAL")
	}
	out.WriteString("}\n")
	return format.Source(out.Bytes())
}

// camel turns no_flow into NoFlow.
func camel(label string) string {
	parts := bytes.Split([]byte(label), []byte("_"))
	for i, p := range parts {
		parts[i] = append(bytes.ToUpper(p[:1]), p[1:]...)
	}
	return string(bytes.Join(parts, nil))
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "reasongen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: reasongen HEADER OUTPUT")
	}
	header, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	source, err := generate(header)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return os.WriteFile(args[1], source, 0o644)
}
