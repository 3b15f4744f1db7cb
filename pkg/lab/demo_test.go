package lab_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/require"
)

// The tests of the demo let HAProxy balance: they are about the demo, which must show any balancer rightly.

// screen is what the demo printed.
type screen struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // receives after a write, if it has room
}

func newScreen() *screen { return &screen{changed: make(chan struct{}, 1)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until the screen shows text at least n times.
func (s *screen) await(t *testing.T, ctx context.Context, text string, n int) {
	t.Helper()
	for strings.Count(s.String(), text) < n {
		select {
		case <-s.changed:
		case <-ctx.Done():
			t.Fatalf("%q was not shown %d times:\n%s", text, n, s)
		}
	}
}

// demoOptions run HAProxy with the demo's files and further arguments.
func demoOptions(t *testing.T, out io.Writer, args ...string) lab.DemoOptions {
	t.Helper()
	require.Root(t)
	haproxy := require.Tool(t, "haproxy")
	argv := []string{haproxy, "-W", "-db", "-f", lab.FilesDir + "/haproxy.cfg", "-f", lab.FilesDir + "/extra.cfg"}
	return lab.DemoOptions{
		Out:   out,
		Argv:  append(argv, args...),
		Ports: lab.DemoPorts{HTTP: lab.AnyPort, TCP: lab.AnyPort, Stats: lab.AnyPort},
	}
}

func TestDemoOnceShowsBothPathsAndThePage(t *testing.T) {
	out := newScreen()
	o := demoOptions(t, out)
	o.Once = true
	if err := lab.Demo(labtest.Context(t), o); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := out.String()
	for _, want := range []string{
		`web-1 +10\.0\.1\.3 `, `web-2 +10\.0\.1\.4 +http/1\.1`, `web-3 +10\.0\.1\.5`,
		`haproxy -W -db -f haproxy\.cfg -f extra\.cfg`,
		`kernel path: unknown`,
		`http://localhost:\d+/my-stats  answered 200`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("the screen lacks %s", want)
		}
	}
	for _, name := range []string{"web-1", "web-2", "web-3"} {
		share := regexp.MustCompile(`hostname: ` + name + ` +4 of 12 +33\.3 %`)
		if n := len(share.FindAllString(text, -1)); n != 2 {
			t.Errorf("%s has its share on %d paths, want both", name, n)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestDemoObeysKeysUntilQuit(t *testing.T) {
	out := newScreen()
	o := demoOptions(t, out)
	keys, press, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	defer press.Close()
	o.In, o.Tasks = keys, 2
	ctx := labtest.Context(t)
	ended := make(chan error, 1)
	go func() { ended <- lab.Demo(ctx, o) }()

	out.await(t, ctx, "keys:", 1)
	fmt.Fprint(press, "+")
	out.await(t, ctx, "scale web to 3", 1)
	out.await(t, ctx, "keys:", 2)
	if n := strings.Count(out.String(), "hostname: web-3"); n != 2 {
		t.Errorf("web-3 is shown on %d paths, want both", n)
	}
	fmt.Fprint(press, "x ") // x means nothing, space another round
	out.await(t, ctx, "keys:", 3)
	fmt.Fprint(press, "q")
	if err := <-ended; err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestDemoEndsWithItsContext(t *testing.T) {
	out := newScreen()
	o := demoOptions(t, out)
	silent, quiet := io.Pipe() // like a terminal at which nobody sits
	defer quiet.Close()
	o.In, o.Tasks = silent, 1
	ctx, cancel := context.WithCancel(labtest.Context(t))
	ended := make(chan error, 1)
	go func() { ended <- lab.Demo(ctx, o) }()
	out.await(t, ctx, "keys:", 1)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestDemoNamesThePortThatIsTaken(t *testing.T) {
	o := demoOptions(t, io.Discard)
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	o.Ports.TCP = ln.Addr().(*net.TCPAddr).Port
	err = lab.Demo(labtest.Context(t), o)
	if want := fmt.Sprintf("port %s is taken", ln.Addr()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want an error with %q", err, want)
	}
}

func TestDemoSaysWhyTheBalancerEnded(t *testing.T) {
	o := demoOptions(t, io.Discard, "-f", "/no/such/file")
	o.Once = true
	err := lab.Demo(labtest.Context(t), o)
	if err == nil || !strings.Contains(err.Error(), "the balancer ended: exit status 1") || !strings.Contains(err.Error(), "/no/such/file") {
		t.Errorf("got %v, want the balancer's own words", err)
	}
}

func TestDemoChecksItsOptions(t *testing.T) {
	for _, n := range []int{-1, 21} {
		if err := lab.Demo(t.Context(), lab.DemoOptions{Tasks: n, Out: io.Discard}); err == nil || !strings.Contains(err.Error(), "1 to 20") {
			t.Errorf("%d tasks: got %v", n, err)
		}
	}
}
