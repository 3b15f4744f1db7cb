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
	_, command, ok := strings.Cut(string(text), "//go:generate go tool bpf2go ")
	if !ok {
		t.Fatal("generate.go has no bpf2go line")
	}
	command, _, _ = strings.Cut(command, "\n")
	dir := t.TempDir()
	sh := exec.Command("sh", "-c", "go tool bpf2go -output-dir '"+dir+"' "+command)
	sh.Env = append(os.Environ(), "GOPACKAGE=datapath")
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("bpf2go: %v\n%s", err, out)
	}
	for _, name := range []string{"lb_bpfel.o", "lb_bpfel.go"} {
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
