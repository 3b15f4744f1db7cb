package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// verdict is what became of a mutant.
type verdict string

const (
	killed   verdict = "noticed"
	survived verdict = "SURVIVED"
	invalid  verdict = "INVALID" // it does not build or load, so that tests fail for another reason
)

// control is a test that passes whenever the eBPF object can be loaded.
const control = "TestVerifierIsNotPressed"

// tree is a copy of the files that git knows, or does not ignore.
type tree struct {
	base string   // what is removed in the end
	dir  string   // the copy
	tmp  string   // for what tests write
	by   []string // what runs commands, or nothing
	// binaries are the tests of packages, built from the tree as it is.
	binaries map[string]string
}

// copyTrees makes n copies. Also with an error it returns those that are to be removed.
func copyTrees(ctx context.Context, n int, by []string) (trees []*tree, err error) {
	for range n {
		t, err := copyTree(ctx)
		if err != nil {
			return trees, err
		}
		t.by = by
		trees = append(trees, t)
	}
	return trees, nil
}

func copyTree(ctx context.Context) (*tree, error) {
	root, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return nil, fmt.Errorf("find the tree: %w", err)
	}
	base, err := os.MkdirTemp("", "wg-mutants-")
	if err != nil {
		return nil, err
	}
	t := &tree{base: base, dir: filepath.Join(base, "tree"), tmp: filepath.Join(base, "tmp"), binaries: make(map[string]string)}
	if err := errors.Join(os.Mkdir(t.dir, 0o755), os.Mkdir(t.tmp, 0o755)); err != nil {
		return nil, errors.Join(err, t.remove())
	}
	copying := exec.CommandContext(ctx, "bash", "-c", `set -o pipefail; git ls-files -zco --exclude-standard | xargs -0 cp --parents -t "$0" --`, t.dir)
	copying.Dir = strings.TrimSpace(string(root))
	if text, err := copying.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("copy the tree: %w\n%s", err, text), t.remove())
	}
	return t, t.lenient()
}

// lenient has the compiler forgive what a mutant leaves unused.
func (t *tree) lenient() error {
	name := filepath.Join(t.dir, "pkg/datapath/generate.go")
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, []byte(strings.ReplaceAll(string(text), " -Werror ", " ")), 0o644)
}

func (t *tree) remove() error { return os.RemoveAll(t.base) }

func (t *tree) edit(e edit) error {
	name := filepath.Join(t.dir, e.file)
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	changed, err := e.apply(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(name, []byte(changed), 0o644)
}

// judge makes the mutant, runs its tests, and makes the tree what it was.
func (t *tree) judge(ctx context.Context, m mutant) (v verdict, said string) {
	before, err := t.save(m)
	if err != nil {
		return invalid, err.Error()
	}
	defer func() {
		if err := t.restore(before); err != nil {
			v, said = invalid, err.Error()
		}
	}()
	for _, e := range m.edits {
		if err := t.edit(e); err != nil {
			return invalid, err.Error()
		}
	}
	names := strings.Split(m.tests, "|")
	if m.compiled() {
		if out, err := t.command(ctx, "", "go", "generate", "-run", "bpf2go", "./pkg/datapath"); err != nil {
			return invalid, out
		}
		names = append(names, control)
	}
	binary := t.binaries[m.pkg]
	if !m.onlyCompiled() {
		binary = filepath.Join(t.base, "mutant.test")
		if out, err := t.build(ctx, m.pkg, binary); err != nil {
			return invalid, out
		}
	}
	out, failure := t.test(ctx, m.pkg, binary, names, testLimit)
	if m.compiled() && m.pkg == datapath && !passed(out, control) {
		return invalid, out
	}
	if failure == nil || slices.ContainsFunc(strings.Split(m.tests, "|"), func(name string) bool { return !failed(out, name) }) {
		return survived, out
	}
	return killed, out
}

// save keeps the files that the mutant changes, with those that are generated from them.
func (t *tree) save(m mutant) (map[string][]byte, error) {
	files := make(map[string][]byte)
	keep := func(name string) error {
		text, err := os.ReadFile(name)
		files[name] = text
		return err
	}
	for _, e := range m.edits {
		if err := keep(filepath.Join(t.dir, e.file)); err != nil {
			return nil, err
		}
	}
	if !m.compiled() {
		return files, nil
	}
	generated, err := filepath.Glob(filepath.Join(t.dir, "pkg/datapath/*_bpfel.*"))
	for _, name := range generated {
		err = errors.Join(err, keep(name))
	}
	return files, err
}

func (t *tree) restore(files map[string][]byte) (err error) {
	for name, text := range files {
		err = errors.Join(err, os.WriteFile(name, text, 0o644))
	}
	return err
}

// mustPass builds the tests of the packages that mutants name, and demands that all those named pass on the tree as it is, if run says so.
func (t *tree) mustPass(ctx context.Context, all []mutant, run bool) error {
	names := make(map[string][]string)
	for _, m := range all {
		names[m.pkg] = append(names[m.pkg], strings.Split(m.tests, "|")...)
	}
	for pkg, list := range names {
		slices.Sort(list)
		list = slices.Compact(list)
		binary := filepath.Join(t.base, filepath.Base(pkg)+".test")
		if out, err := t.build(ctx, pkg, binary); err != nil {
			return fmt.Errorf("build the tests of %s: %w\n%s", pkg, err, out)
		}
		t.binaries[pkg] = binary
		if !run {
			continue
		}
		for some := range slices.Chunk(list, 20) { // so that none of the commands takes long
			err := t.passes(ctx, pkg, binary, some)
			if err != nil && ctx.Err() == nil { // of a busy machine it may be another one's fault
				err = t.passes(ctx, pkg, binary, some)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// passes demands that tests pass on the tree as it is.
func (t *tree) passes(ctx context.Context, pkg, binary string, names []string) error {
	out, err := t.test(ctx, pkg, binary, names, testLimit*time.Duration(len(names)))
	for _, name := range names {
		if err == nil && !passed(out, name) {
			err = fmt.Errorf("%s is not there, or skips itself", name)
		}
	}
	if err != nil {
		return fmt.Errorf("the tests do not pass on the tree as it is: %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// testLimit is what the tests of one mutant may take, and longer is a failure: without its mechanism a test may wait in vain.
// All of them on the tree as it is may take as much each.
const testLimit = 2 * time.Minute

// build makes a test binary of a package.
func (t *tree) build(ctx context.Context, pkg, binary string) (string, error) {
	return t.command(ctx, "", "go", "test", "-c", "-vet=off", "-o", binary, "./"+pkg)
}

// test runs tests in their package's directory, with the eBPF objects that lie in the tree.
func (t *tree) test(ctx context.Context, pkg, binary string, names []string, limit time.Duration) (string, error) {
	return t.command(ctx, pkg, binary, "-test.count=1", "-test.v", "-test.timeout="+limit.String(), "-test.run=^("+strings.Join(names, "|")+")$")
}

// command runs a program in a directory of the tree, in a process group that ends with ctx.
func (t *tree) command(ctx context.Context, dir, name string, args ...string) (string, error) {
	argv := slices.Concat(t.by, []string{name}, args)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = filepath.Join(t.dir, dir)
	cmd.Env = append(os.Environ(), "WAGGLE_TEST_REQUIRE=all", "WAGGLE_TEST_OBJECTS="+filepath.Join(t.dir, datapath), "TMPDIR="+t.tmp, "GOFLAGS=-buildvcs=false -trimpath")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func passed(out, name string) bool { return result(out, "PASS", name) }

// failed tells whether a test has failed, or was under way when all came to an end: by a panic, as at the time limit.
func failed(out, name string) bool {
	cut := regexp.MustCompile(`(?m)^panic: `).MatchString(out) && regexp.MustCompile(`(?m)^=== RUN   `+name+`$`).MatchString(out)
	return result(out, "FAIL", name) || cut && !passed(out, name)
}

func result(out, word, name string) bool {
	return regexp.MustCompile(`(?m)^--- ` + word + `: ` + name + ` `).MatchString(out)
}
