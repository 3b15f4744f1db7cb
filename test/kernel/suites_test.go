package kernel

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/require"
	"waggle/test/kernel/guest"
)

// suite is what one machine does: the tests of a package, or a program.
type suite struct {
	name string
	// dir is the package, in the repository; its tests run in the same place of the machine's file system.
	dir string
	// args, if set, are those of a program. If not, dir has tests.
	args []string
	// says is what the program must print.
	says string
	// skip are tests that are not run. All others must run: in there, a test that lacks a tool fails.
	skip []string
	// run, if set, matches the tests that are run.
	run string
	// gate tells that without this suite's success there is no point in others.
	gate bool
	// files are what the tests read besides.
	files []string
}

// suites are what is run on an emulated machine: what another kernel may do otherwise.
var suites = []suite{
	{name: "load", dir: "pkg/datapath", run: "TestVerifierIsNotPressed", gate: true},
	{name: "demo", dir: "cmd/waggle", args: []string{"demo", "--once"}, says: "yes, all 12 connections were carried by eBPF"},
	{name: "attach", dir: "pkg/datapath", run: attachTests},
	{name: "packets", dir: "pkg/datapath", run: packetTests},
	{name: "paths", dir: "test/e2e", files: e2e.files, run: pathTests, skip: e2e.skip},
}

// rest are what they leave: three quarters of the time. Most of it is loading the program for tests of what it computes.
var rest = []suite{
	{name: "datapath", dir: "pkg/datapath", skip: append([]string{"^(" + attachTests + "|" + packetTests + ")$"}, toolTests...)},
	{name: "e2e", dir: "test/e2e", files: e2e.files, skip: append([]string{"^(" + pathTests + ")$"}, e2e.skip...)},
}

// attachTests are those of what the kernel lends: hooks, which are by clsact there, and XDP, netlink, sockets, neighbours, pins, and real
// connections with their TIME_WAIT.
const attachTests = "TestReplacedInPlace|TestEndToEnd|TestIPv6EndToEnd|TestEndToEndByGenericXDP|TestRedispatchEndToEnd|TestSourceAddressesEndToEnd|" +
	"TestNoPathMTUBlackHole|TestBigTCP|TestForeignFiltersRunOn|TestForeignXDPIsLeftInPeace|TestAFilterLeftBehindIsReplaced|TestFilterOfAKilledAgent|" +
	"TestTheQdiscOfOthersOutlivesAKilledAgent|TestCloseLeavesNothing|TestCloseLeavesTheClsactOfOthers|TestNetworkIsFollowed|" +
	"TestRoutesComeAndGo|TestRoutingRulesAreFollowed|TestLiveFlowsFollowTheirNeighbours|TestSilentChangeOfAMACMidFlow|" +
	"TestTransitPasses|TestTakeOversLoseNothing|TestTakeOverByAnotherConfiguration|TestIncompletePinsAreMadeAnew|TestExpiryResetsBothEnds|" +
	"TestShutdownResetsBothEndsAtOnce|TestSocketsOwnTheirConnections|TestLocalSocketsAndFlowsNeverMeet|TestSourcePortsOfListenersAreSkipped|" +
	"TestShortConnectionsNeverStall|TestSYNFloodHurtsNoEstablishedConnection|TestForgeriesHurtNoEstablishedConnection|" +
	"TestMapsAreNamedAndTyped|TestVerifierLogIsKept|TestRunTime|TestTwoInOneNamespace|TestAnInterfaceThatComesBack|TestVLANsAsLegs"

// packetTests are those of single packets and flows, by BPF_PROG_RUN, in which the program's branches, helpers, loops and maps have a part.
const packetTests = "TestTCPRows|TestICMPRows|TestWhatIsNotOurs|TestIPv6Packets|TestRandomPacketsAgainstTheModel|" +
	"TestChecksumsThatTheNICCompletes|TestMSSIsClampedWhereTheLegsDiffer|TestHalfOpenRing|TestFullTable|" +
	"TestRoundRobinIsExactOnManyCPUs|TestLeastConnectionsOfManyServers|TestRandomWeighsLoads|TestSourceAgreesWithUserspace|TestLimits|" +
	"TestSourcePortCollision|TestRecycledFlowsHoldTheirPorts|TestRedispatchAfterRefusal|TestRetryLeavesAServerThatIsGone|TestCollector|" +
	"TestLookShowsWhatIsDue|TestEventOfEachEnd|TestServersAreReplacedAtOnce|TestTraceForetells"

// pathTests are those of the whole program that show both paths and their end.
const pathTests = "TestNothingIsLeftInTheKernel|TestTenMegabytesPassUnchanged|TestAServerIsDrainedAtRunTimeOnBothPaths|" +
	"TestConnectionsAreSplitExactly|TestAKilledTaskHurtsNobodyElse|TestKilledAgentLosesNoConnection|TestCleanStopUnpinsUnlessAskedToKeep|" +
	"TestPinsOfAnotherVersion|TestSessionLinesOfBothPathsAreEqual|TestTrace|TestAHangingAgent|TestClientsOfBothPathsWaitInOneQueue|TestSoftStop"

var e2e = suite{name: "e2e", dir: "test/e2e", files: []string{"deploy/haproxy.cfg"}, skip: []string{
	"^TestCommandsOfTheDocuments$", "^TestMigrate", "^TestColumnsTellTheTruth$", // programs and files of the documents, HAProxy
	"^TestNothingIsLeftInTheKernel$/^SIGKILL$", // by a clsact filter a program outlives a killed agent
	"^TestPrivilegesAreDropped$",               // go
	"^TestBadWiresChangeNoByte$",               // TAP devices
}}

// toolTests need what is not in the machine.
var toolTests = []string{
	"^TestGeneratedObjectIsCurrent$",             // clang
	"^TestBpftoolPrintsFields$",                  // bpftool
	"^TestNetfilterIsLeftInPeace$",               // nft
	"^TestUnreachableServersAreRetriedEndToEnd$", // nft
	"^TestVerifierIsNotPressed$",                 // was run first
	"^TestDuels$", "^TestFlowsOfTwoCPUsAreTwo$",  // two CPUs
}

// chosen are the suites to run on a machine that is fast or not: what shows another kernel, or all if the machine is fast or EnvAll is
// set; or one for each package if EnvRun is set.
func chosen(fast bool) []suite {
	only := os.Getenv(EnvRun)
	if only == "" && (fast || os.Getenv(EnvAll) != "") {
		return slices.Concat(suites, rest)
	} else if only == "" {
		return suites
	}
	packages := []suite{{name: "datapath", dir: "pkg/datapath", skip: toolTests[:4]}, e2e}
	for i := range packages {
		packages[i].run = only
	}
	return packages
}

// A name that no test has any more would be left out in silence.
func TestSuitesNameTests(t *testing.T) {
	root := repository(t)
	for _, s := range slices.Concat(suites, []suite{e2e, {dir: "pkg/datapath", skip: toolTests}}) {
		files, err := filepath.Glob(filepath.Join(root, s.dir, "*_test.go"))
		if err != nil || s.args == nil && len(files) == 0 {
			t.Fatalf("%s: %d files, %v", s.dir, len(files), err)
		}
		var source strings.Builder
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(text)
		}
		for _, name := range regexp.MustCompile(`\bTest\w+\b\$?`).FindAllString(strings.Join(append(s.skip[:len(s.skip):len(s.skip)], s.run), " "), -1) {
			head := "\nfunc " + strings.TrimSuffix(name, "$")
			if strings.HasSuffix(name, "$") || !slices.Contains(s.skip, "^"+name) { // else some names begin with it
				head += "("
			}
			if !strings.Contains(source.String(), head) {
				t.Errorf("%s: %s has no test %s", s.name, s.dir, name)
			}
		}
	}
}

// guestLimit is what a suite may take by its machine's clock.
const guestLimit = 30 * time.Minute

// build makes the program and puts it, with what it reads, into a machine's file system.
func (s *suite) build(t *testing.T, in *initramfs, root, tmp string, fast bool) guest.Job {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const src = "src/"
	binary, at := filepath.Join(tmp, s.name), src+s.dir+"/"+s.name
	if s.args != nil {
		goTool(t, root, "build", "-ldflags=-s -w", "-o", binary, "./"+s.dir)
	} else {
		goTool(t, root, "test", "-c", "-ldflags=-s -w", "-o", binary, "./"+s.dir)
	}
	must(in.add(at, binary))
	for _, file := range s.files {
		must(in.add(src+file, filepath.Join(root, file)))
	}
	return guest.Job{Name: s.name, Dir: "/" + src + s.dir, Argv: append([]string{"/" + at}, s.arguments(fast)...), Env: []string{require.Env + "=all"}}
}

func (s *suite) arguments(fast bool) []string {
	if s.args != nil {
		return s.args
	}
	args := []string{"-test.v", "-test.timeout=" + guestLimit.String()}
	if !fast {
		args = append(args, "-test.short")
	}
	if s.run != "" {
		args = append(args, "-test.run=^("+s.run+")$")
	}
	if len(s.skip) > 0 {
		args = append(args, "-test.skip="+strings.Join(s.skip, "|"))
	}
	return args
}
