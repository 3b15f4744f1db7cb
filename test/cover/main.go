// Command cover measures which outcomes of which decisions of the kernel path's C code the tests of pkg/datapath take: of each condition
// of if, ?:, &&, || and loops both, of each switch all. It compiles a copy of the sources in which each outcome writes a byte, has the tests
// load that, and reads the bytes of all that they have loaded. It needs root and clang, as the tests and `make generate` do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"waggle/test/csource"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run returns 0 if the tests pass and each outcome is taken or excused, 1 if not, 2 for a mistake of the caller.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("cover", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("run", "", "regular expression: the tests to run; empty: all")
	skip := flags.String("skip", "", "regular expression: the tests not to run")
	by := flags.String("exec", "", "command that runs the tests, given as its arguments: nice, or what shares the machine with others")
	keep := flags.String("keep", "", "directory to leave the instrumented sources and objects in")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if err := measure(ctx, suite{*only, *skip, strings.Fields(*by)}, *keep, stdout); err != nil {
		fmt.Fprintf(stderr, "cover: %v\n", err)
		return 1
	}
	return 0
}

// suite is which tests are run, by regular expressions, and by what command, if by any.
type suite struct {
	only, skip string
	by         []string
}

func (s suite) whole() bool { return s.only == "" && s.skip == "" }

func measure(ctx context.Context, which suite, keep string, out io.Writer) (err error) {
	root, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return fmt.Errorf("find the tree: %w", err)
	}
	tree := strings.TrimSpace(string(root))
	dir := keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "wg-cover-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	sources, err := read(tree)
	if err != nil {
		return err
	}
	decisions, err := sources.Decisions(ctx)
	if err != nil {
		return err
	}
	all := outcomes(decisions)
	if err := compile(ctx, sources, instrument(sources, decisions), dir); err != nil {
		return err
	}
	taken := make([]byte, len(all))
	failed := runTests(ctx, tree, dir, which, taken, out)
	return errors.Join(failed, report(all, taken, which.whole(), out))
}

// read reads bpf/ and how it is compiled.
func read(tree string) (csource.Sources, error) {
	text, err := os.ReadFile(filepath.Join(tree, "pkg/datapath/generate.go"))
	if err != nil {
		return csource.Sources{}, err
	}
	flags := regexp.MustCompile(`-cflags "([^"]*)"`).FindSubmatch(text)
	if flags == nil {
		return csource.Sources{}, errors.New("generate.go says no flags of the compiler")
	}
	// Probes are expressions whose values nobody needs.
	return csource.Read(filepath.Join(tree, "bpf"), []string{"lb.bpf.c", "xdp.bpf.c"}, strings.Fields(strings.ReplaceAll(string(flags[1]), "-Werror", "-Wno-unused-value")))
}

// compile makes the objects that tests load: of x.bpf.c x_bpfel.o.
func compile(ctx context.Context, s csource.Sources, files map[string]string, dir string) error {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, unit := range s.Units {
		object := strings.TrimSuffix(unit, ".bpf.c") + "_bpfel.o"
		cmd := exec.CommandContext(ctx, csource.Compiler, append([]string{"-target", "bpfel", "-c", "-o", object, unit}, s.Flags...)...)
		cmd.Dir = dir
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("compile %s: %w\n%s", unit, err, text)
		}
	}
	return nil
}

// testsAtOnce is how many tests one process runs of all, so that none takes long.
const testsAtOnce = 25

// runTests runs the tests with the objects in dir, and adds up what they have taken.
func runTests(ctx context.Context, tree, dir string, which suite, taken []byte, out io.Writer) error {
	binary := filepath.Join(dir, "datapath.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./pkg/datapath")
	build.Dir = tree
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the tests: %w\n%s", err, text)
	}
	parts := [][]string{{"-test.run=" + which.only, "-test.skip=" + which.skip}}
	if which.whole() {
		names, err := exec.CommandContext(ctx, binary, "-test.list=^(Test|Fuzz)", "-test.run=^$").Output()
		if err != nil {
			return fmt.Errorf("list the tests: %w", err)
		}
		parts = nil
		for some := range slices.Chunk(strings.Fields(string(names)), testsAtOnce) {
			parts = append(parts, []string{"-test.run=^(" + strings.Join(some, "|") + ")$"})
		}
	}
	w, err := newWatch(len(taken))
	if err != nil {
		return err
	}
	w.start()
	var failed error
	for _, part := range parts {
		argv := slices.Concat(which.by, []string{binary, "-test.count=1", "-test.timeout=20m"}, part)
		tests := exec.CommandContext(ctx, argv[0], argv[1:]...)
		tests.Dir = filepath.Join(tree, "pkg/datapath")
		tests.Env = append(os.Environ(), "WAGGLE_TEST_REQUIRE=all", "WAGGLE_TEST_OBJECTS="+dir)
		tests.Stdout, tests.Stderr = out, out
		tests.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		tests.Cancel = func() error { return syscall.Kill(-tests.Process.Pid, syscall.SIGTERM) }
		if err := tests.Run(); err != nil {
			failed = errors.Join(failed, fmt.Errorf("the tests: %w", err))
		}
	}
	return errors.Join(failed, w.end(taken))
}
