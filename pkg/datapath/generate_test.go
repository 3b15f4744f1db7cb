package datapath

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// The committed object is what the sources make, with the compiler that made it.
func TestGeneratedObjectIsCurrent(t *testing.T) {
	require.Tool(t, "clang-19")
	require.Tool(t, "llvm-strip-19")
	text, err := os.ReadFile("generate.go")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	programs := 0
	for line := range strings.Lines(string(text)) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "//go:generate go tool bpf2go ")
		if !ok {
			continue
		}
		programs++
		sh := exec.Command("sh", "-c", "go tool bpf2go -output-dir '"+dir+"' "+command)
		sh.Env = append(os.Environ(), "GOPACKAGE=datapath")
		if out, err := sh.CombinedOutput(); err != nil {
			t.Fatalf("bpf2go: %v\n%s", err, out)
		}
	}
	if programs != 2 {
		t.Fatalf("generate.go has %d bpf2go lines", programs)
	}
	for _, name := range []string{"lb_bpfel.o", "lb_bpfel.go", "xdp_bpfel.o", "xdp_bpfel.go"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what bpf/ makes: run go generate ./pkg/datapath", name)
		}
	}
}

// Maps, those of the book among them, have names by which people find them, which the kernel does not cut off, and types by which
// bpftool prints their fields.
func TestMapsAreNamedAndTyped(t *testing.T) {
	spec, err := specFor(Options{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range spec.Maps {
		if strings.HasPrefix(name, ".") { // sections of constants
			continue
		}
		if !strings.HasPrefix(name, "wg_") || len(name) >= unix.BPF_OBJ_NAME_LEN {
			t.Errorf("map %s: want wg_ and at most %d characters", name, unix.BPF_OBJ_NAME_LEN-1)
		}
		if m.Type != ebpf.RingBuf && (m.Key == nil || m.Value == nil && m.InnerMap == nil) {
			t.Errorf("map %s has no types: key %v, value %v", name, m.Key, m.Value)
		}
	}
	for _, m := range bookSpecs(spec.Maps) {
		if !strings.HasPrefix(m.Name, "wg_book_") || len(m.Name) >= unix.BPF_OBJ_NAME_LEN {
			t.Errorf("map %s: want wg_book_ and at most %d characters", m.Name, unix.BPF_OBJ_NAME_LEN-1)
		}
	}
}
