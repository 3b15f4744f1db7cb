// Command bench measures waggle beside other ways to do the same, in network namespaces of this machine.
//
//	go run ./test/bench l4        TCP: plain forwarding, waggle's two paths, nftables, HAProxy, nginx
//	go run ./test/bench l7        HTTP: waggle, HAProxy in four settings, nginx, Caddy
//	go run ./test/bench tls       TLS and HTTP/2: waggle and HAProxy
//	go run ./test/bench memory    what connections take at which little happens: waggle and HAProxy
//	go run ./test/bench packets   what the eBPF program takes for a packet
//
// docs/performance.md says how it measures and what it found.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"waggle/pkg/lab"
)

func main() {
	lab.Main() // plays the part of an actor of the lab, if this process is one
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

const usageText = `Usage: go run ./test/bench l4|l7|tls|memory|packets [flags]; -h after the word lists its flags.
`

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, usageText)
		return errors.New("say what to measure")
	}
	switch args[0] {
	case "l4":
		return runSuite(ctx, func(int) suite { return l4() }, args, stdout, stderr)
	case "l7":
		return runSuite(ctx, l7, args, stdout, stderr)
	case "tls":
		return runSuite(ctx, func(int) suite { return tlsSuite() }, args, stdout, stderr)
	case memorySuite:
		return runMemory(ctx, args, stdout, stderr)
	case "packets":
		return runPackets(ctx, args, stdout, stderr)
	case "-h", "-help", "--help", "help":
		fmt.Fprint(stdout, usageText)
		return nil
	}
	fmt.Fprint(stderr, usageText)
	return fmt.Errorf("unknown word %q", args[0])
}
