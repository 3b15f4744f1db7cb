package e2e

import (
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
)

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

// docLine is a command in a document.
type docLine struct {
	file string
	line int
	text string
}

func (l docLine) String() string { return fmt.Sprintf("%s:%d: %s", l.file, l.line, l.text) }

// commandsOf lists the lines of a document's indented blocks, which are commands there; fenced blocks are pictures and files.
// A block stands behind an empty line; what is indented behind text goes on with an item of a list.
func commandsOf(t *testing.T, file string) []docLine {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../..", file))
	if err != nil {
		t.Fatal(err)
	}
	var lines []docLine
	fenced, block, empty := false, false, true
	for i, text := range strings.Split(string(content), "\n") {
		indented := strings.HasPrefix(text, "    ")
		block = indented && (block || empty)
		empty = strings.TrimSpace(text) == ""
		switch {
		case strings.HasPrefix(text, "```"):
			fenced = !fenced
		case !fenced && block && !empty:
			lines = append(lines, docLine{file, i + 1, strings.TrimSpace(text)})
		}
	}
	return lines
}

var runtimeCommand = regexp.MustCompile(`^(set|add|del|enable|disable|clear|show|get|shutdown) `)

// notRunHere are commands that other tests run, or that cannot be run in a lab.
var notRunHere = map[string]string{
	"docker service logs ": "needs the stack; test/swarm deploys it",
	"tc filter ":           "below kernel 6.6 only; test/kernel",
	"tc qdisc ":            "below kernel 6.6 only; test/kernel",
	"systemctl ":           "needs systemd",
	"journalctl ":          "needs systemd",
}

// TestCommandsOfTheDocuments runs every command of README and docs, word for word but for places: waggle's and bpftool's in
// the balancer's namespace beside a running waggle, those of the Runtime API on its stats socket. Of targets of make it asks
// only whether they exist; what they do are other tests and CI.
func TestCommandsOfTheDocuments(t *testing.T) {
	require.Tool(t, "socat")
	require.Tool(t, "bpftool")
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(documents) == 0 {
		t.Fatalf("documents: %v", err)
	}
	d := startDocs(t)
	seen := 0
	for _, file := range append([]string{"../../README.md", "../../bpf/README.md"}, documents...) {
		for _, l := range commandsOf(t, strings.TrimPrefix(file, "../../")) {
			seen++
			if err := d.try(l); err != nil {
				t.Errorf("%s\n%v", l, err)
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d commands were found", seen)
	}
}

// docs is a balancer to try commands on.
type docs struct {
	*balancer
	socket, programs, config string
}

func startDocs(t *testing.T) *docs {
	t.Helper()
	d := &docs{balancer: &balancer{Lab: newLab(t, lab.Options{Tasks: 3, StopDelay: swarmStopDelay}), t: t}}
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
	d.eventually(10*time.Second, "all servers are used", func() error {
		return d.shares(d.rawName, 6, "hostname: raw-1", "hostname: raw-2", "hostname: raw-3")
	})
	return d
}

// try runs a command; the error says what is wrong about it.
func (d *docs) try(l docLine) error {
	for prefix := range notRunHere {
		if strings.HasPrefix(l.text, prefix) {
			return nil
		}
	}
	switch {
	case strings.HasPrefix(l.text, "make "):
		return inTree(strings.Replace(l.text, "make ", "make -n ", 1))
	case strings.HasPrefix(l.text, "go run "): // of what -from has measured, nothing is measured again
		return inTree(l.text)
	case strings.HasPrefix(l.text, "WAGGLE_TEST_"), strings.HasPrefix(l.text, "go test "):
		return inTree(strings.Replace(l.text, "go test ", "go test -run XXX ", 1))
	case runtimeCommand.MatchString(l.text):
		return d.ask(l.text)
	}
	return d.run(l.text)
}

// inTree runs a line at the top of the tree.
func inTree(text string) error {
	cmd := exec.Command("bash", "-c", text)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// ask gives a line to the Runtime API. An answer is a complaint, unless it is one of those that confirm.
func (d *docs) ask(text string) error {
	text, _, _ = strings.Cut(text, " #")
	conn, err := net.Dial("unix", d.socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, strings.TrimSpace(text)); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err
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
		"CLIENT FRONTEND", "198.51.100.7 tcp_in",
		"192.0.2.1:8001", d.Balancer.Endpoint(tcpPort),
	).Replace(text)
	if strings.HasPrefix(text, "waggle -f ") { // a second one beside that which runs: it is only to start
		text = "timeout --preserve-status -s TERM 2 " + strings.Replace(text, "waggle -f "+d.config, "waggle -f "+d.other()+" --health-socket=@second", 1)
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
	if err := p.Err(); err != nil {
		return fmt.Errorf("%w\n%s", err, p.Output())
	}
	return nil
}

// other is the configuration with other ports.
func (d *docs) other() string {
	text := strings.NewReplacer(":8000\n", ":9000\n", ":8001\n", ":9001\n", d.socket, d.socket+".2").Replace(fmt.Sprintf(docsConfig, d.socket))
	file := filepath.Join(d.programs, "other.cfg")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		d.t.Fatal(err)
	}
	return file
}
