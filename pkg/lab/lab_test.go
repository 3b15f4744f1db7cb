package lab_test

import (
	"io"
	"os"
	"strings"
	"testing"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
)

func TestMain(m *testing.M) {
	lab.Main()
	os.Exit(m.Run())
}

func TestTasksAnswerWithTheirHostname(t *testing.T) {
	l := labtest.New(t, lab.Options{Tasks: 2})
	for _, task := range l.Tasks("web") {
		resp, err := l.Balancer.HTTPClient().Get("http://" + task.Endpoint().String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(body), "hostname: "+task.Name(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestProcessSeesItsOwnSurroundings(t *testing.T) {
	l := labtest.New(t, lab.Options{})
	p, err := l.Balancer.Start(labtest.Context(t), lab.Command{
		Argv:  []string{"/bin/sh", "-c", "cat /etc/resolv.conf; hostname; echo pid $$; cat /run/lab/note; ls /sys/class/net; exit 3"},
		Files: map[string][]byte{"note": []byte("a note\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Err(); err == nil || err.Error() != "exit status 3" {
		t.Errorf("ended with %v, want exit status 3", err)
	}
	for _, want := range []string{"nameserver 127.0.0.11\n", "balancer\n", "pid 1\n", "a note\n", "eth0\neth1\nlo\n"} {
		if !strings.Contains(p.Output(), want) {
			t.Errorf("output lacks %q:\n%s", want, p.Output())
		}
	}
	if data, err := os.ReadFile("/etc/resolv.conf"); err == nil && strings.Contains(string(data), "127.0.0.11") {
		t.Error("the mount over resolv.conf is seen outside")
	}
}
