package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/require"
	"waggle/test/docs/page"
)

const top = "../.."

// docsConfig has the names that the documents use.
const docsConfig = `
global
    stats socket %s level admin
resolvers docker
    nameserver dns1 127.0.0.11:53
    timeout resolve 1s
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend http_in
    bind *:8000
    default_backend web
frontend tcp_in
    mode tcp
    bind *:8001
    default_backend raw
backend web
    option redispatch
    server-template web- 4 web:8000 check inter 200ms rise 1 resolvers docker init-addr none
backend raw
    mode tcp
    server-template raw- 3 raw:8000 check inter 200ms rise 1 resolvers docker init-addr none
`

// notRunHere are commands that other tests run, or that would do what a test may not.
var notRunHere = map[string]string{
	"docker ":                   "needs an engine: TestStack of test/swarm runs them",
	"tc filter ":                "below kernel 6.6 only; test/kernel",
	"tc qdisc ":                 "below kernel 6.6 only; test/kernel",
	"rm -r /sys/fs/bpf/waggle/": "pins of the machine; TestDeployedStacks of test/swarm removes its own",
	"systemctl ":                "needs systemd",
	"go run ./test/bench":       "measures for minutes; TestARoundOfEachSuite of test/bench does it for a moment",
}

// TestCommandsOfTheDocuments runs every command of README and docs, word for word but for places: waggle's and bpftool's in
// the balancer's namespace beside a running waggle, those of the Runtime API on its stats socket. Of targets of make it asks
// only whether they exist and know the flags; of go test whether there is such a test. What they do are other tests and CI.
func TestCommandsOfTheDocuments(t *testing.T) {
	require.Tool(t, "socat")
	require.Tool(t, "bpftool")
	documents, err := page.Documents(top)
	if err != nil {
		t.Fatalf("documents: %v", err)
	}
	d := startDocs(t)
	seen, tried := 0, map[string]bool{}
	for _, file := range documents {
		p, err := page.Read(filepath.Join(top, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range p.Commands() {
			if file == "docs/haproxy-compatibility.md" { // its table of commands is a syntax; pkg/runtimeapi tests them
				break
			}
			seen++
			text, _, _ := strings.Cut(l.Text, " # ")
			text = strings.TrimSpace(text)
			if tried[text] && !changes.MatchString(text) {
				continue
			}
			tried[text] = true
			if err := d.try(text); err != nil {
				t.Errorf("%s:%d: %s\n%v", file, l.Number, text, err)
			}
		}
	}
	if seen < 150 {
		t.Errorf("only %d commands were found", seen)
	}
}

// docs is a balancer to try commands on.
type docs struct {
	*balancer
	socket, programs, config string
	usage                    map[string]string // what programs say of their flags
}

func startDocs(t *testing.T) *docs {
	t.Helper()
	d := &docs{balancer: &balancer{Lab: newLab(t, lab.Options{Tasks: 3, StopDelay: swarmStopDelay}), t: t}, usage: map[string]string{}}
	for range 3 {
		if _, err := d.AddTask(labtest.Context(t), lab.TaskOptions{Service: "raw", Kind: lab.TCP}); err != nil {
			t.Fatal(err)
		}
	}
	d.programs = filepath.Dir(shipped(t))
	d.socket = filepath.Join(d.programs, "waggle.sock")
	d.config = filepath.Join(d.programs, "haproxy.cfg")
	if err := os.WriteFile(d.config, fmt.Appendf(nil, docsConfig, d.socket), 0o644); err != nil {
		t.Fatal(err)
	}
	var err error
	d.process, err = d.Balancer.Start(labtest.Context(t), lab.Command{Argv: []string{d.programs + "/waggle", "-f", d.config, kernelFlag()}})
	if err != nil {
		t.Fatal(err)
	}
	d.eventually("all servers are used", func() error {
		return d.shares(d.rawName, 6, "hostname: raw-1", "hostname: raw-2", "hostname: raw-3")
	})
	return d
}

// try runs a command; the error says what is wrong about it.
func (d *docs) try(text string) error {
	for prefix := range notRunHere {
		if strings.HasPrefix(text, prefix) {
			return nil
		}
	}
	switch {
	case strings.HasPrefix(text, "make "):
		if err := inTree(strings.Replace(text, "make ", "make -n ", 1)); err != nil {
			return err
		}
		return d.knowsFlags(text)
	case strings.HasPrefix(text, "go generate "):
		return inTree(strings.Replace(text, "go generate ", "go generate -n ", 1))
	case strings.HasPrefix(text, "go run "): // of what -from has measured, nothing is measured again
		return inTree(text)
	case strings.HasPrefix(text, "go test "):
		return thereAreTests(text)
	case changes.MatchString(text), strings.HasPrefix(text, "show "):
		return d.ask(text)
	}
	return d.run(text)
}

// changes are commands of the Runtime API that change something, so that the same ones may differ in what they do.
var changes = regexp.MustCompile(`^(set|add|del|enable|disable|clear|shutdown) `)

var (
	makeFlags = regexp.MustCompile(`^make ([a-z0-9-]+) ARGS='?([^']*)'?$`)
	oneFlag   = regexp.MustCompile(`(?:^| )-+([a-z0-9-]+)`)
)

// knowsFlags asks the program behind a target of make whether it has the flags that ARGS hands on.
func (d *docs) knowsFlags(text string) error {
	m := makeFlags.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	program := map[string]string{"demo": "go run ./cmd/waggle demo -h", "mutants": "go run ./test/mutants -h", "cover-bpf": "go run ./test/cover -h", "swarm-soak": "go run ./test/swarm/soak -h"}[m[1]]
	if what, ok := strings.CutPrefix(m[1], "bench-"); ok {
		program = "go run ./test/bench " + what + " -h"
	}
	if program == "" {
		return fmt.Errorf("no program is known behind it")
	}
	if _, asked := d.usage[program]; !asked {
		cmd, cancel := topShell(program)
		defer cancel()
		out, _ := cmd.CombinedOutput() // it may exit with 2 after its usage
		d.usage[program] = string(out)
	}
	for _, flag := range oneFlag.FindAllStringSubmatch(m[2], -1) {
		if !strings.Contains(d.usage[program], "-"+flag[1]) {
			return fmt.Errorf("%s knows no flag -%s:\n%s", program, flag[1], d.usage[program])
		}
	}
	return nil
}

var (
	selectsTests = regexp.MustCompile(` -run ('[^']*'|\S+)`)
	repeats      = regexp.MustCompile(` -(benchtime|count) \S+`)
)

// thereAreTests asks whether a line of go test would run something. Its benchmarks run once; of its tests it makes a list.
func thereAreTests(text string) error {
	if strings.Contains(text, " -bench ") {
		return finds(repeats.ReplaceAllString(text, "")+" -benchtime 1x", "Benchmark")
	}
	text = repeats.ReplaceAllString(text, "")
	if !selectsTests.MatchString(text) {
		return inTree(strings.Replace(text, "go test ", "go test -run XXX ", 1))
	}
	return finds(selectsTests.ReplaceAllString(text, " -list $1"), "Test")
}

// finds runs a line of go test, which is to name something that begins so. It may fail where a package demands that all its tests
// have run.
func finds(text, begins string) error {
	cmd, cancel := topShell(text)
	defer cancel()
	out, err := cmd.CombinedOutput()
	if !regexp.MustCompile(`(?m)^` + begins).Match(out) {
		return fmt.Errorf("%s finds nothing: %v\n%s", text, err, out)
	}
	return nil
}

// topShell runs a line at the top of the tree, and not for ever: most of them build something first.
func topShell(text string) (cmd *exec.Cmd, cancel context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	cmd = exec.CommandContext(ctx, "bash", "-c", text)
	cmd.Dir, cmd.WaitDelay = top, time.Second
	return cmd, cancel
}

// inTree runs a line at the top of the tree.
func inTree(text string) error {
	cmd, cancel := topShell(text)
	defer cancel()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// ask gives a line to the Runtime API. An answer is a complaint, unless it is one of those that confirm.
func (d *docs) ask(text string) error {
	conn, err := net.Dial("unix", d.socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintln(conn, strings.TrimSpace(text)); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	if strings.HasPrefix(text, "show ") {
		if strings.HasPrefix(string(answer), "Unknown command") {
			return fmt.Errorf("it is not known")
		}
		return nil
	}
	for line := range strings.Lines(string(answer)) {
		switch line = strings.TrimSpace(line); {
		case line == "", line == "Done.", strings.HasPrefix(line, "New server registered"), strings.HasPrefix(line, "Server deleted"),
			strings.Contains(line, "changed from"), strings.Contains(line, "changed its FQDN from"):
		default:
			return fmt.Errorf("it answers %q", line)
		}
	}
	return nil
}

// run executes a line by a shell in the balancer's namespace.
func (d *docs) run(text string) error {
	text = strings.NewReplacer(
		"docker exec CONTAINER ", "",
		"bin/waggle ", "waggle ",
		`docker run --rm -v "$PWD:/usr/local/etc/haproxy:ro" waggle `, "waggle ",
		"/run/waggle.sock", d.socket,
		"/var/lib/haproxy/states", d.programs+"/states",
		"/usr/local/etc/haproxy/haproxy.cfg", d.config,
		"-f FILE", "-f haproxy.cfg",
		"CLIENT FRONTEND", "198.51.100.7 tcp_in",
		"192.0.2.1:8001", d.Balancer.Endpoint(tcpPort),
	).Replace(text)
	if strings.HasPrefix(text, "waggle -f ") { // a second one beside that which runs: it is only to start, and is ended when it has
		text = strings.Replace(text, "waggle -f "+d.config, "waggle -f "+d.other()+" --health-socket=@second", 1) + untilReady
	}
	if strings.HasPrefix(text, "waggle top") {
		text = strings.Replace(text, "waggle top", "waggle top rounds 1", 1)
	}
	p, err := d.Balancer.Start(labtest.Context(d.t), lab.Command{
		Argv: []string{"bash", "-o", "pipefail", "-c", "cd " + d.programs + "\n" + text},
		Env:  []string{"PATH=" + d.programs + ":" + os.Getenv("PATH")},
	})
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
	case <-time.After(2 * patience):
		p.Kill()
		return fmt.Errorf("it has not ended within %v\n%s", 2*patience, p.Output())
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("%w\n%s", err, p.Output())
	}
	return nil
}

// untilReady has a shell wait for a waggle to start and then end it; before that it would not hear of it.
const untilReady = ` >second.log 2>&1 & second=$!
until grep -q 'waggle is ready' second.log; do kill -0 $second && sleep 0.05 || { cat second.log; exit 1; }; done
kill -TERM $second
wait $second || { status=$?; cat second.log; exit $status; }`

// other is the configuration with other ports.
func (d *docs) other() string {
	text := strings.NewReplacer(":8000\n", ":9000\n", ":8001\n", ":9001\n", d.socket, d.socket+".2").Replace(fmt.Sprintf(docsConfig, d.socket))
	file := filepath.Join(d.programs, "other.cfg")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		d.t.Fatal(err)
	}
	return file
}
