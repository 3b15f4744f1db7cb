package kernel

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/require"
	"waggle/test/kernel/guest"
)

// timeLimit is what a machine may take by this machine's clock, which may be busy with other things.
const timeLimit = 2 * time.Hour

// TestOnTheOldestKernel has a machine for each suite, so that one can be run alone (go test -run
// 'TestOnTheOldestKernel/^e2e$'), and those after the first beside each other.
func TestOnTheOldestKernel(t *testing.T) {
	dir := os.Getenv(EnvDir)
	if dir == "" {
		t.Skip("make test-kernel runs this; or set " + EnvDir)
	}
	if runtime.GOARCH != "amd64" {
		require.Skip(t, "knows no machine for "+runtime.GOARCH)
	}
	qemu := require.Tool(t, "qemu-system-x86_64")
	k, err := findImage(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := laboratory{root: repository(t), init: filepath.Join(t.TempDir(), "init")}
	l.machine = machine{qemu: qemu, image: k, memory: 2048, by: emulation}
	goTool(t, l.root, "build", "-ldflags=-s -w", "-o", l.init, "./test/kernel/init")
	idle := l.prepare(t, nil)
	if err := idle.tryKVM(); err == nil {
		l.machine.by = kvm
	} else {
		t.Logf("KVM does not run a machine here, so it is emulated, which takes much longer: %v", err)
	}
	for _, s := range chosen(l.machine.by.fast) {
		if ok := t.Run(s.name, func(t *testing.T) {
			if !s.gate {
				t.Parallel()
			}
			s.judge(t, boot(t, l.prepare(t, &s), s.name))
		}); s.gate && !ok {
			return
		}
	}
}

// laboratory is what the machines of a run have in common.
type laboratory struct {
	machine machine
	root    string // of the repository
	init    string // program that is the first process of each
}

// prepare makes a machine that runs a suite, or none.
func (l *laboratory) prepare(t *testing.T, s *suite) *machine {
	t.Helper()
	tmp := t.TempDir()
	m := l.machine
	m.initrd, m.console = filepath.Join(tmp, "initrd"), filepath.Join(tmp, "console")
	f, err := os.Create(m.initrd)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := newInitramfs(f)
	var plan guest.Plan
	if s != nil {
		plan.Jobs = append(plan.Jobs, s.build(t, in, l.root, tmp, m.by.fast))
	}
	if err := in.boot(l.init, m.image, plan); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return &m
}

// repository is the root of the module.
func repository(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatalf("go env GOMOD: %v", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// goTool makes a static binary.
func goTool(t *testing.T, root string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
}

// boot runs a machine that has one job, and sorts what it reports.
func boot(t *testing.T, m *machine, job string) *results {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeLimit)
	defer cancel()
	began := time.Now()
	var r results
	err := m.run(ctx, func(e guest.Event) {
		at := fmt.Sprintf("%5.0f s: %s", time.Since(began).Seconds(), job)
		if e.Kernel != "" {
			t.Logf("%s: kernel %s is up, %s", at, e.Kernel, m.by.name)
		} else if e.Ended {
			r.end(e)
			t.Logf("%s has ended after %.0f s of its own clock: %s", at, e.Seconds, &r)
		} else if test := r.line(e.Line); test != nil && test.verdict == "FAIL" {
			t.Logf("%s: %s has failed:\n%s", at, test.name, strings.Join(test.output, "\n"))
		} else if test != nil {
			t.Logf("%s: %s", at, test.output[len(test.output)-1])
		}
	})
	console, _ := os.ReadFile(m.console)
	if err != nil {
		t.Errorf("%v\nresults so far: %s; at the end: %q\nthe console says:\n%s", err, &r, r.current, console)
	} else if len(console) > 0 {
		t.Logf("the console says:\n%s", console)
	}
	return &r
}

// judge makes each of a suite's tests one of ours.
func (s *suite) judge(t *testing.T, r *results) {
	if !r.Ended {
		t.Fatal("was not run to its end")
	}
	for _, test := range r.tests {
		t.Run(test.name, func(t *testing.T) {
			switch output := strings.Join(test.output, "\n"); test.verdict {
			case "FAIL":
				t.Error(output)
			case "PASS":
				t.Log(output)
			case "SKIP":
				t.Skip(output)
			}
		})
	}
	t.Logf("%s in %.1f s", r, r.Seconds)
	if r.Exit != 0 || r.Problem != "" {
		t.Errorf("exit status %d %s\n%s", r.Exit, r.Problem, strings.Join(r.rest, "\n"))
	}
	if output := strings.Join(r.rest, "\n"); s.args != nil {
		t.Log(output)
		if !strings.Contains(output, s.says) {
			t.Errorf("it does not say %q", s.says)
		}
	} else if r.count("PASS") == 0 {
		t.Error("no test has passed")
	}
}
