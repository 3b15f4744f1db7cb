// Command mutants shows that tests notice when a mechanism is gone. Each mutant takes one mechanism of the kernel path away,
// in a copy of the tree, and names the tests that must fail then; where they pass the mutant survives, and what these tests
// are thought to show is not shown. It needs root and clang, as the tests and `make generate` do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run returns 0 if no mutant survives, 1 if one does or cannot be judged, 2 for a mistake of the caller.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "regular expression: the mutants whose name or tests match")
	skip := flags.String("skip", "", "regular expression: the mutants not to judge, by the same")
	part := flags.String("part", "0/1", "K/N: of these every N'th from the K'th on")
	passed := flags.Bool("passed", false, "the tests are known to pass on the tree as it is, and are not run there first")
	list := flags.Bool("list", false, "print what there is and judge nothing")
	jobs := flags.Int("jobs", 1, "how many to judge at a time; tests that measure may fail for another reason then")
	by := flags.String("exec", "", "command that runs each build and each test, given as its arguments: nice, or what shares the machine with others")
	verbose := flags.Bool("v", false, "print what the tests say")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	chosen, err := choose(*only, *skip)
	if err == nil {
		chosen, err = partOf(chosen, *part)
	}
	if err != nil {
		fmt.Fprintf(stderr, "mutants: %v\n", err)
		return 2
	}
	if *list {
		for _, m := range chosen {
			fmt.Fprintf(stdout, "%s: %s (%s)\n", m.edits[0].file, m.name, m.tests)
		}
		return 0
	}
	if err := judgeAll(ctx, chosen, max(1, *jobs), strings.Fields(*by), *passed, *verbose, stdout); err != nil {
		fmt.Fprintf(stderr, "mutants: %v\n", err)
		return 1
	}
	return 0
}

// choose returns the mutants that match only and do not match skip; empty ones do not matter.
func choose(only, skip string) (chosen []mutant, err error) {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	unwanted, err := regexp.Compile(skip)
	if err != nil {
		return nil, fmt.Errorf("-skip: %w", err)
	}
	for _, m := range mutants() {
		text := m.name + "\n" + m.tests
		if wanted.MatchString(text) && (skip == "" || !unwanted.MatchString(text)) {
			chosen = append(chosen, m)
		}
	}
	return chosen, nil
}

// partOf is every N'th mutant from the K'th on, for K/N.
func partOf(all []mutant, which string) (some []mutant, err error) {
	var k, n int
	if _, err := fmt.Sscanf(which, "%d/%d", &k, &n); err != nil || k < 0 || n < 1 {
		return nil, fmt.Errorf("-part: %q is not K/N", which)
	}
	for i, m := range all {
		if i%n == k {
			some = append(some, m)
		}
	}
	return some, nil
}

// judgeAll first has the named tests pass on the tree as it is, unless it is known that they do, and then fail on each mutant. jobs mutants are judged at a
// time, each in a copy of its own, by a command that runs their commands, or none.
func judgeAll(ctx context.Context, chosen []mutant, jobs int, by []string, passed, verbose bool, out io.Writer) (err error) {
	trees, err := copyTrees(ctx, min(jobs, len(chosen)), by)
	defer func() {
		for _, t := range trees {
			err = errors.Join(err, t.remove())
		}
	}()
	if err != nil || len(chosen) == 0 {
		return err
	}
	if err := trees[0].mustPass(ctx, chosen, !passed); err != nil {
		return err
	}
	queue := make(chan mutant, len(chosen))
	for _, m := range chosen {
		queue <- m
	}
	close(queue)
	r := report{out: out, verbose: verbose}
	var wg sync.WaitGroup
	for _, t := range trees {
		t.binaries = trees[0].binaries
		wg.Go(func() {
			for m := range queue {
				began := time.Now()
				verdict, said := t.judge(ctx, m)
				if ctx.Err() != nil {
					return
				}
				r.add(m, verdict, said, time.Since(began))
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return r.end(len(chosen))
}

// report prints verdicts as they come. It may be used concurrently.
type report struct {
	mu      sync.Mutex
	out     io.Writer
	verbose bool
	failed  int
}

func (r *report) add(m mutant, v verdict, said string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, "%-9s %4.1f s  %s (%s)\n", v, took.Seconds(), m.name, m.tests)
	if v != killed {
		r.failed++
	}
	if r.verbose || v != killed {
		fmt.Fprintf(r.out, "%s\n", said)
	}
}

func (r *report) end(all int) error {
	fmt.Fprintf(r.out, "%d of %d mutants were noticed\n", all-r.failed, all)
	if r.failed > 0 {
		return fmt.Errorf("%d of %d mutants were not noticed", r.failed, all)
	}
	return nil
}
