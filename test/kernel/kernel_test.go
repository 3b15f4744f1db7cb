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

// suite is a package whose tests are run on that kernel.
type suite struct {
	name string
	dir  string // in the repository; the tests run in the same place of the machine's file system
	// skip are tests that need a program which is not in the machine. They have nothing to do with its kernel. All
	// others must run: in there, a test that skips itself fails.
	skip []string
	// run, if set, matches the tests that are run.
	run string
	// short has tests make do with fewer connections and packets, as emulation takes its time.
	short bool
	// gate tells that without these tests there is no point in others.
	gate bool
	// files are what the tests read besides.
	files []string
}

// packetTests are those of single packets and flows, by BPF_PROG_RUN, and of what the collector does about them.
const packetTests = "TestTCPRows|TestICMPRows|TestWhatIsNotOurs|TestChecksumsThatTheNICCompletes|TestMSSIsClampedWhereTheLegsDiffer|" +
	"TestIPv6MSSIsClamped|TestTTL|TestRandomPacketsAgainstTheModel|TestPromotionNeedsTheServersSequenceNumber|TestWhatWasLostIsCountedWhenItComes|" +
	"TestHalfOpenRing|TestRSTInFlightIsNoEnd|TestRoundRobinIsExact|TestRoundRobinIsExactOnManyCPUs|TestLeastConnections|TestSourceAgreesWithUserspace|" +
	"TestLimits|TestSourcePortCollision|TestRecycledFlowsHoldTheirPorts|TestRedispatchAfterRefusal|TestCollector|" +
	"TestLookShowsWhatIsDue|TestLookKnowsAllKinds|TestEventOfEachEnd|TestServersAreReplacedAtOnce"

// attachTests are those of the program on interfaces, which are by clsact there, with real connections.
const attachTests = "TestForeignFiltersRunOn|TestAFilterLeftBehindIsReplaced|TestFilterOfAKilledAgent|TestTheQdiscOfOthersOutlivesAKilledAgent|" +
	"TestCloseLeavesNothing|TestCloseLeavesTheClsactOfOthers|TestNetworkIsFollowed|TestTransitPasses|TestEndToEnd|TestNoPathMTUBlackHole|" +
	"TestReplacedInPlace|TestTakeOversLoseNothing|TestExpiryResetsBothEnds|TestShutdownResetsBothEndsAtOnce|TestSocketsOwnTheirConnections|" +
	"TestShortConnectionsNeverStall|TestSYNFloodHurtsNoEstablishedConnection|TestForgeriesHurtNoEstablishedConnection"

var suites = []suite{
	{name: "load", dir: "pkg/datapath", run: "TestVerifierIsNotPressed", gate: true},
	{name: "packets", dir: "pkg/datapath", run: packetTests, short: true},
	{name: "attach", dir: "pkg/datapath", run: attachTests, short: true},
	// A few, since all of them take very long there. By a clsact filter a program outlives a killed agent.
	{name: "e2e", dir: "test/e2e", files: []string{"deploy/haproxy.cfg"},
		run:  "TestNothingIsLeftInTheKernel|TestTenMegabytesPassUnchanged|TestAServerIsDrainedAtRunTimeOnBothPaths",
		skip: []string{"^TestNothingIsLeftInTheKernel$/^SIGKILL$"}},
}

// allOf is run in place of packets and attach if EnvAll is set.
var allOf = suite{name: "datapath", dir: "pkg/datapath", skip: []string{
	"^TestGeneratedObjectIsCurrent$", // clang
	"^TestBpftoolPrintsFields$",      // bpftool
	"^TestNetfilterIsLeftInPeace$",   // nft
}}

// chosen are the suites to run.
func chosen() []suite {
	if os.Getenv(EnvAll) == "" {
		return suites
	}
	return []suite{suites[0], allOf, suites[3]}
}

// timeLimit is what a run may take: about ten minutes on an idle machine of two CPUs, and much longer where others use them as
// well..
const timeLimit = 60 * time.Minute

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
	tmp := t.TempDir()
	m := machine{
		qemu: qemu, image: k, cpus: 2, memory: 2048,
		initrd: filepath.Join(tmp, "initrd"), console: filepath.Join(tmp, "console"),
	}
	writeInitrd(t, m.initrd, k, tmp)
	all := boot(t, &m)
	for _, s := range chosen() {
		t.Run(s.name, func(t *testing.T) { judge(t, all[s.name]) })
	}
}

// writeInitrd builds the programs and puts them into an initial file system.
func writeInitrd(t *testing.T, name string, k image, tmp string) {
	t.Helper()
	root := repository(t)
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := newInitramfs(f)
	var plan guest.Plan
	for _, s := range chosen() {
		binary := filepath.Join(tmp, s.name+".test")
		goTool(t, root, "test", "-c", "-ldflags=-s -w", "-o", binary, "./"+s.dir)
		plan.Jobs = append(plan.Jobs, s.add(t, in, root, binary))
	}
	init := filepath.Join(tmp, "init")
	goTool(t, root, "build", "-ldflags=-s -w", "-o", init, "./test/kernel/init")
	if err := in.boot(init, k, plan); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func (s *suite) add(t *testing.T, in *initramfs, root, binary string) guest.Job {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const src = "src/"
	at := src + s.dir + "/" + s.name + ".test"
	must(in.add(at, binary))
	for _, file := range s.files {
		must(in.add(src+file, filepath.Join(root, file)))
	}
	argv := []string{"/" + at, "-test.v", "-test.timeout=" + timeLimit.String()}
	run := s.run
	if only := os.Getenv(EnvRun); only != "" && !s.gate {
		run = only
	}
	if s.short {
		argv = append(argv, "-test.short")
	}
	if run != "" {
		argv = append(argv, "-test.run=^("+run+")$")
	}
	if len(s.skip) > 0 {
		argv = append(argv, "-test.skip="+strings.Join(s.skip, "|"))
	}
	return guest.Job{Name: s.name, Dir: "/" + src + s.dir, Argv: argv, Env: []string{require.Env + "=all"}, Gate: s.gate}
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

// boot runs the machine and sorts what it reports by suite.
func boot(t *testing.T, m *machine) map[string]*results {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeLimit)
	defer cancel()
	began := time.Now()
	all := make(map[string]*results)
	err := m.run(ctx, func(e guest.Event) {
		if e.Kernel != "" {
			t.Logf("kernel %s is up after %.1f s", e.Kernel, time.Since(began).Seconds())
			return
		}
		r := all[e.Job]
		if r == nil {
			r = &results{}
			all[e.Job] = r
		}
		if e.Ended {
			r.end(e)
			t.Logf("%5.0f s: %s has ended after %.0f s: %s", time.Since(began).Seconds(), e.Job, r.Seconds, r)
		} else if test := r.line(e.Line); test != nil && test.verdict == "FAIL" {
			t.Logf("%5.0f s: %s: %s has failed:\n%s", time.Since(began).Seconds(), e.Job, test.name, strings.Join(test.output, "\n"))
		} else if test != nil {
			t.Logf("%5.0f s: %s: %s: %s", time.Since(began).Seconds(), e.Job, test.verdict, test.name)
		}
	})
	t.Logf("the machine ran for %.1f s", time.Since(began).Seconds())
	console, _ := os.ReadFile(m.console)
	if err != nil {
		t.Errorf("%v\nresults so far: %s\nthe console says:\n%s", err, soFar(all), console)
	} else if len(console) > 0 {
		t.Logf("the console says:\n%s", console)
	}
	return all
}

// soFar is what there is to say about a run that was cut short.
func soFar(all map[string]*results) string {
	var text strings.Builder
	for name, r := range all {
		fmt.Fprintf(&text, "%s: %s; at the end: %q\n", name, r, r.current)
	}
	return text.String()
}

// judge makes each of a suite's tests one of ours.
func judge(t *testing.T, r *results) {
	if r == nil || !r.Ended {
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
	if r.count("PASS") == 0 {
		t.Error("no test has passed")
	}
}
