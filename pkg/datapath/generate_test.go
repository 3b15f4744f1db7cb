package datapath

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
