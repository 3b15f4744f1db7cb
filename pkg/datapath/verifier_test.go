package datapath

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"

	"waggle/pkg/lab/require"
)

// verifierBudget is what a program may cost the verifier on any kernel, in instructions walked. The kernel's own limit
// is a million; kernels differ in how many paths they see to be alike, so room must be left for those that see less.
const verifierBudget = 500_000

// The stack of a chain of calls: the kernel's limit (MAX_BPF_STACK), and what kernel 6.1 rounds each frame up to in the sum.
// Newer ones with a JIT round up to less, so that a program which they take may be too deep there.
const (
	stackLimit = 512
	frameAlign = 32
)

var (
	walked = regexp.MustCompile(`processed (\d+) insns`)
	frames = regexp.MustCompile(`stack depth ([\d+]+)`)
)

func TestVerifierIsNotPressed(t *testing.T) {
	require.Root(t)
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	for object, load := range map[string]func() (*ebpf.CollectionSpec, error){"TC": loadLb, "XDP": loadXdp} {
		t.Run(object, func(t *testing.T) { isNotPressed(t, load) })
	}
}

func isNotPressed(t *testing.T, load func() (*ebpf.CollectionSpec, error)) {
	spec, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if err := probeIterator(); err != nil {
		t.Log(err)
		delete(spec.Programs, lbProgWgLook)
	}
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats},
	})
	if refused := (*ebpf.VerifierError)(nil); errors.As(err, &refused) {
		t.Fatalf("%+v", refused) // with its log
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, p := range c.Programs {
		t.Logf("%s: %s", name, p.VerifierLog)
		if n := numbersIn(t, walked, p.VerifierLog)[0]; n > verifierBudget {
			t.Errorf("%s: the verifier walks %d instructions, more than %d", name, n, verifierBudget)
		}
		depth, chain := deepestStack(t, spec.Programs[name].Instructions, numbersIn(t, frames, p.VerifierLog))
		t.Logf("%s: the deepest stack is of %d bytes: %s", name, depth, chain)
		if depth > stackLimit {
			t.Errorf("%s: %s needs %d bytes of stack on older kernels, more than %d", name, chain, depth, stackLimit)
		}
	}
}

// numbersIn is what the verifier says at a place in its log: numbers with a plus between them.
func numbersIn(t *testing.T, place *regexp.Regexp, log string) []int {
	m := place.FindStringSubmatch(log)
	if m == nil {
		t.Fatalf("the verifier says %q, without %s", log, place)
	}
	var numbers []int
	for _, s := range strings.Split(m[1], "+") {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// deepestStack is what the deepest chain of calls needs, and its functions. The frames are those of the functions in the order
// of their code.
func deepestStack(t *testing.T, code asm.Instructions, frames []int) (depth int, chain string) {
	var order []string
	calls := make(map[string][]string)
	for i := range code {
		if s := code[i].Symbol(); s != "" {
			order = append(order, s)
		}
		if code[i].IsFunctionCall() {
			caller := order[len(order)-1]
			calls[caller] = append(calls[caller], code[i].Reference())
		}
	}
	if len(order) != len(frames) {
		t.Fatalf("%d functions %v have %d frames", len(order), order, len(frames))
	}
	size := make(map[string]int)
	for i, name := range order {
		size[name] = (max(frames[i], 1) + frameAlign - 1) / frameAlign * frameAlign
	}
	var deepest func(name string) (int, string)
	deepest = func(name string) (int, string) {
		below, path := 0, ""
		for _, callee := range calls[name] {
			if d, p := deepest(callee); d > below {
				below, path = d, " > "+p
			}
		}
		return size[name] + below, name + path
	}
	return deepest(order[0])
}
