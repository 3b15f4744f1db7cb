// Command thirdparty lists the modules that the program and its tests are made of, with their licences: a page for people,
// and the texts that go into the image, since most of those licences ask for that. It fails for a licence that it does not
// know and for a direct dependency without a reason.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:generate go run . ../../docs/dependencies.md ../THIRD_PARTY_LICENSES

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: thirdparty PAGE TEXTS")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "thirdparty:", err)
		os.Exit(1)
	}
}

func run(page, texts string) error {
	program, err := modules("waggle/cmd/waggle")
	if err != nil {
		return err
	}
	all, err := modules("-test", "waggle/...")
	if err != nil {
		return err
	}
	tests := slices.DeleteFunc(all, func(m module) bool { return slices.ContainsFunc(program, m.same) })
	content, err := document(program, tests)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(page, content, 0o644), os.WriteFile(texts, licences(program), 0o644)) //nolint:gosec // to be read by all
}

// reasons say why a module is a direct dependency.
var reasons = map[string]string{
	"github.com/cespare/xxhash/v2":        "the values of dynamic cookies, which are HAProxy's",
	"github.com/cilium/ebpf":              "loads, attaches and reads eBPF without cgo; bpf2go makes the Go types of the C structures",
	"github.com/google/go-cmp":            "differences of large values in tests",
	"github.com/gopacket/gopacket":        "builds and reads the packets of tests, apart from our own code",
	"github.com/miekg/dns":                "DNS messages, with EDNS0",
	"github.com/klauspost/compress":       "deflate for responses, faster than the standard library's",
	"github.com/prometheus/client_golang": "the Go runtime's and the process's metrics, and promlint in tests",
	"github.com/prometheus/client_model":  "the types of client_golang's metrics",
	"github.com/prometheus/common":        "writes the exposition format",
	"github.com/rogpeppe/go-internal":     "scripts of command lines in tests",
	"github.com/vishvananda/netlink":      "interfaces, addresses, routes, neighbours and tc by netlink",
	"github.com/vishvananda/netns":        "network namespaces of the lab",
	"go.uber.org/goleak":                  "finds goroutines that tests leave",
	"golang.org/x/crypto":                 "Blowfish, for bcrypt of the passwords of userlists",
	"golang.org/x/net":                    "HTTP/2 and HTML in tests; others need the rest",
	"golang.org/x/sys":                    "system calls that package syscall does not have",
}

// module is a part of what `go list -json` says of one.
type module struct {
	Path, Version, Dir string
	Main, Indirect     bool
	Replace            *module

	licence string // SPDX
	texts   []string
}

func (m module) same(other module) bool { return m.Path == other.Path }

// modules lists the modules that packages are made of, with their licences, by path.
func modules(args ...string) ([]module, error) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=Module"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", cmd, err, stderr.Bytes())
	}
	var list []module
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct{ Module *module }
		if err := d.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		m := pkg.Module
		if m == nil || m.Main || slices.ContainsFunc(list, m.same) {
			continue
		}
		if m.Replace != nil {
			m = m.Replace
		}
		if err := m.identify(); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Path, err)
		}
		list = append(list, *m)
	}
	slices.SortFunc(list, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}

// identify reads the licence, and the notice that Apache-2.0 wants to be kept.
func (m *module) identify() error {
	for _, pattern := range []string{"LICENSE*", "LICENCE*", "COPYING*", "NOTICE*"} {
		names, err := filepath.Glob(filepath.Join(m.Dir, pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			if m.licence == "" {
				m.licence = identifier(string(text))
			}
			m.texts = append(m.texts, strings.TrimSpace(string(text)))
		}
	}
	if m.licence == "" {
		return fmt.Errorf("no licence that is known in %s", m.Dir)
	}
	return nil
}

// identifier is the SPDX identifier of a text, or empty.
func identifier(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	has := func(phrase string) bool { return strings.Contains(text, phrase) }
	switch {
	case has("Apache License Version 2.0"), has("Apache License, Version 2.0"):
		return "Apache-2.0"
	case has("Permission is hereby granted, free of charge, to any person obtaining a copy"):
		return "MIT"
	case has("Redistribution and use in source and binary forms") && has("endorse or promote products"):
		return "BSD-3-Clause"
	case has("Redistribution and use in source and binary forms"):
		return "BSD-2-Clause"
	}
	return ""
}

// document is the page.
func document(program, tests []module) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(`# Dependencies

<!-- Made by "go generate ./deploy/thirdparty" from go.mod and the modules' own files. Do not edit. -->

waggle is one static binary: Go's standard library and the modules of the first table. The texts of their licences are in the
image as /usr/share/doc/waggle/THIRD_PARTY_LICENSES, a list of them in CycloneDX's format as /usr/share/doc/waggle/sbom.cdx.json.

    make sbom       # the list alone: bin/sbom.cdx.json
    make vulncheck  # what the Go vulnerability database has against the code that is really called

## In the program

`)
	if err := table(&b, program); err != nil {
		return nil, err
	}
	b.WriteString("\n## For tests and generators only\n\n")
	if err := table(&b, tests); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func table(b *bytes.Buffer, list []module) error {
	b.WriteString("| module | version | licence | what for |\n| --- | --- | --- | --- |\n")
	for _, m := range list {
		reason := reasons[m.Path]
		if reason == "" && !m.Indirect {
			return fmt.Errorf("%s is a direct dependency without a reason", m.Path)
		}
		if reason == "" {
			reason = "needed by others"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", m.Path, m.Version, m.licence, reason)
	}
	return nil
}

// licences are the texts, one module after the other.
func licences(list []module) []byte {
	var b bytes.Buffer
	b.WriteString("waggle contains these modules, under the licences that follow.\n")
	for _, m := range list {
		fmt.Fprintf(&b, "\n%s\n%s %s (%s)\n%[1]s\n\n", strings.Repeat("=", 80), m.Path, m.Version, m.licence)
		b.WriteString(strings.Join(m.texts, "\n\n") + "\n")
	}
	return b.Bytes()
}
