package lab_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
)

// ownerEnv makes the test binary the owner of a lab that a test kills: see TestKilledOwnerLeavesNothing.
const ownerEnv = "WAGGLE_LAB_TEST_OWNER"

// programEnv makes the test binary the program of a task: see TestATaskRunsAProgram.
const programEnv = "WAGGLE_LAB_TEST_PROGRAM"

func TestMain(m *testing.M) {
	lab.Main()
	if os.Getenv(ownerEnv) != "" {
		os.Exit(ownLab())
	}
	if file := os.Getenv(programEnv); file != "" {
		fmt.Fprintln(os.Stderr, sayWords(file))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func TestProcessSeesItsOwnSurroundings(t *testing.T) {
	const vmlinux = "/sys/kernel/btf/vmlinux"
	l := labtest.New(t, lab.Options{})
	p, err := l.Balancer.Start(labtest.Context(t), lab.Command{
		Argv:  []string{"/bin/sh", "-c", "cat /etc/resolv.conf; hostname; echo pid $$; cat /run/lab/note; ls /sys/class/net; echo $WORD; ls " + vmlinux + "; exit 3"},
		Env:   []string{"WORD=dance"},
		Files: map[string][]byte{"note": []byte("a note\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Err(); err == nil || err.Error() != "exit status 3" {
		t.Errorf("ended with %v, want exit status 3", err)
	}
	for _, want := range []string{"nameserver 127.0.0.11\n", "balancer\n", "pid 1\n", "a note\n", "eth0\neth1\nlo\n", "dance\n"} {
		if !strings.Contains(p.Output(), want) {
			t.Errorf("output lacks %q:\n%s", want, p.Output())
		}
	}
	if _, err := os.Stat(vmlinux); err == nil && !strings.Contains(p.Output(), vmlinux) {
		t.Errorf("%s is not seen, which programs for the kernel path need", vmlinux)
	}
	if data, err := os.ReadFile("/etc/resolv.conf"); err == nil && strings.Contains(string(data), "127.0.0.11") {
		t.Error("the mount over resolv.conf is seen outside")
	}
	if _, err := os.Stat(lab.FilesDir); err == nil {
		t.Errorf("%s is seen outside", lab.FilesDir)
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	l := labtest.New(t, lab.Options{})
	notExecutable := t.TempDir() + "/script"
	if err := os.WriteFile(notExecutable, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for want, argv := range map[string][]string{
		"empty argv":         nil,
		"not found":          {"no-such-program-anywhere"},
		"exec format error":  {notExecutable},
		"not a base name":    {"/bin/true"},
		"start true in node": {"/bin/true"},
	} {
		files := map[string][]byte{}
		if argv != nil && argv[0] == "/bin/true" {
			files["../escape"] = nil
		}
		_, err := l.Node.Start(labtest.Context(t), lab.Command{Argv: argv, Files: files})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want an error with %q", argv, err, want)
		}
	}
}

func TestOutputIsBounded(t *testing.T) {
	l := labtest.New(t, lab.Options{Output: new(strings.Builder)})
	p, err := l.Client.Start(labtest.Context(t), lab.Command{Argv: []string{"/bin/sh", "-c", "seq 1 100000"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	out := p.Output()
	if len(out) != 256<<10 || !strings.HasSuffix(out, "\n99999\n100000\n") {
		t.Errorf("kept %d bytes that end in %q", len(out), out[max(0, len(out)-20):])
	}
}

// ownLab makes a lab, says on stdout what is in it, and waits to be killed.
func ownLab() int {
	report, err := buildOwnedLab()
	if err != nil {
		report.Error = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(report)
	if err != nil {
		return 1
	}
	select {}
}
