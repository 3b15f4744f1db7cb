package datapath

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"waggle/pkg/lab/require"
)

// verifierBudget is what a program may cost the verifier on any kernel, in instructions walked. The kernel's own limit
// is a million; kernels differ in how many paths they see to be alike, so room must be left for those that see less.
const verifierBudget = 500_000

var walked = regexp.MustCompile(`processed (\d+) insns`)

func TestVerifierIsNotPressed(t *testing.T) {
	require.Root(t)
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	spec, err := loadLb()
	if err != nil {
		t.Fatal(err)
	}
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats},
	})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer c.Close()
	for name, p := range c.Programs {
		m := walked.FindStringSubmatch(p.VerifierLog)
		if m == nil {
			t.Errorf("%s: the verifier says %q", name, p.VerifierLog)
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s", name, p.VerifierLog)
		if n > verifierBudget {
			t.Errorf("%s: the verifier walks %d instructions, more than %d", name, n, verifierBudget)
		}
	}
}
