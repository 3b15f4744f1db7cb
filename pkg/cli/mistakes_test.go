package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/message"
)

// TestMistakes has what each mistake on the command line is answered, word for word; DIR is an empty directory, PID the
// process's number.
func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("ok.cfg", "defaults\n timeout client 1s\nlisten l\n bind :1\n")
	write("warns.cfg", "listen l\n bind :1\n")
	write("idle.cfg", "backend b\n")
	write("many.cfg", "global\n"+strings.Repeat(" x\n", 50))
	write("tls.cfg", "defaults\n timeout client 1s\nlisten l\n bind :1 ssl crt "+dir+"/nope.pem\n")
	const seeHelp = "waggle: see waggle --help\n"
	const nobody = "--health-socket=@waggle-test-nobody"
	usage := func(text string) string { return "waggle: " + text + "\n" + seeHelp }
	for _, tt := range []struct {
		args string // words between blanks
		env  string // NAME=value
		code int
		want string // on standard error
	}{
		{"chek", "", 2, `waggle: unknown command "chek"; did you mean "check"?` + "\n"},
		{"haproxy.cfg", "", 2, `waggle: unknown command "haproxy.cfg"` + "\n"},
		{"help chek", "", 2, `waggle: unknown command "chek"; did you mean "check"?` + "\n"},
		{"completion tcsh", "", 2, usage("completion is for one of: bash, zsh, fish")},
		{"demo --onse", "", 2, usage(`demo: unknown flag "--onse"; it takes --once, --tasks=N, and flags of run after --`)},
		{"demo --tasks=many", "", 2, usage(`flag --tasks: "many" is not a number of tasks, as in --tasks=3`)},
		{"check", "", 2, usage("no configuration file: give one with -f")},
		{"check --json", "", 2, usage("no configuration file: give one with -f")},
		{"check DIR/ok.cfg", "", 2, usage(`unexpected argument "DIR/ok.cfg": files are given with -f`)},
		{"check -f", "", 2, usage("flag -f needs a value")},
		{"check --jsn", "", 2, usage(`unknown flag --jsn; did you mean "json"?`)},
		{"check --strict=yes", "", 2, usage("flag --strict takes no value")},
		{"check --pin-dir=bpf", "", 2, usage(`flag --pin-dir=bpf: "bpf" is not an absolute path such as /sys/fs/bpf/waggle`)},
		{"check --iface=a,,b", "", 2, usage("flag --iface=a,,b: an interface name is empty")},
		{"check --loops=0", "", 2, usage(`flag --loops=0: "0" is not a number from 1 to 256`)},
		{"check --flow-max=x", "", 2, usage(`flag --flow-max=x: "x" is not a number from 16 to 16777215`)},
		{"check --log-level=loud", "", 2, usage(`flag --log-level=loud: "loud" is not debug, info, warn or error`)},
		{"check --health-address=:x:", "", 2, usage(`flag --health-address=:x:: ":x:" is not an address with a port such as 127.0.0.1:8405`)},
		{"check --health-socket=/run/w", "", 2, usage(`flag --health-socket=/run/w: "/run/w" is not an abstract socket name such as @waggle`)},
		{"check --watch-config=1ms", "", 2, usage(`flag --watch-config=1ms: "1ms" is neither "off" nor a time from 100ms on, such as 5s`)},
		{"check --port-range=1-2", "", 2, usage(`flag --port-range=1-2: "1-2" is not a range of ports such as 1024-32767`)},
		{"check --source-ip=eth0", "", 2, usage(`flag --source-ip=eth0: "eth0" is neither an address nor "interface"`)},
		{"check --source-ip=::1,::2,::3,::4,::5,::6,::7,::8,::9", "", 2, usage("flag --source-ip=::1,::2,::3,::4,::5,::6,::7,::8,::9: 9 addresses of one family, at most 8")},
		{"check --datapath=fast", "", 2, usage(`flag --datapath=fast: "fast" is not one of auto, tc, xdp, xdp-generic, off`)},
		{"check", "WAGGLE_DATAPATH=turbo", 2, usage(`environment variable WAGGLE_DATAPATH: "turbo" is not one of auto, tc, xdp, xdp-generic, off`)},
		{"check -n 0", "", 2, usage(`flag -n: "0" is not a number above 0`)},
		{"check -C DIR/nowhere -f x", "", 1, "[ALERT]    (PID) : flag -C: chdir DIR/nowhere: no such file or directory\n"},
		{"run -p DIR/no/pid -f DIR/ok.cfg", "", 1, "[ALERT]    (PID) : write pid file: open DIR/no/pid: no such file or directory\n"},
		{"run -cc version_atleast(x)", "", 2, "[ALERT]    (PID) : config : Failed to evaluate condition: 'x' is not a version such as 2.8 or 3.0.5 in '-cc'\n"},
		{"check -D -f DIR/ok.cfg", "", 0, "[NOTICE]   (PID) : flag -D has no effect: waggle stays in the foreground\n"},
		{"check -f DIR/idle.cfg", "", 2, "Configuration file has no error but will not start (no listener) => exit(2).\n"},
		{"check -f DIR/tls.cfg", "", 1, "[ALERT]    (PID) : config : parsing [DIR/tls.cfg:4] : listen 'l' : bind '0.0.0.0:1' : unable to load certificate from file 'DIR/nope.pem': no such file or directory\n" +
			"[ALERT]    (PID) : config : Error(s) found in configuration file : DIR/tls.cfg\n"},
		{"check -dW -f DIR/warns.cfg", "", 1, "[WARNING]  (PID) : config : parsing [DIR/warns.cfg:1] : missing timeouts for listen 'l': without 'timeout client' silent peers hold their connections for ever\n  listen l\n  ^\n" +
			"[ALERT]    (PID) : Some warnings were found, and they are errors here (--strict, -dW). Aborting.\n"},
		{"check -f DIR/many.cfg", "", 1, strings.Repeat("[ALERT]    (PID) : config : parsing [DIR/many.cfg:N] : unknown keyword 'x' in 'global' section\n   x\n   ^\n", 50) +
			"[ALERT]    (PID) : config : too many errors, the rest was not read.\n[ALERT]    (PID) : config : Error(s) found in configuration file : DIR/many.cfg\n"},
		{"flows a;b", "", 2, usage(`"a;b" is no word of a command`)},
		{"top round 3", "", 2, usage(`top: unknown word "round"; did you mean "rounds"?`)},
		{"top every", "", 2, usage(`top: "every" expects a number`)},
		{"top every 0", "", 2, usage(`top: "0" is no number for "every"`)},
		{"sysdump -f DIR/nope.cfg " + nobody, "", 1, "waggle: read configuration: open DIR/nope.cfg: no such file or directory\n"},
		{"sysdump -f DIR/nope.d/x " + nobody, "", 1, "waggle: read configuration: open DIR/nope.d/x: no such file or directory\n"},
		{"explain -f DIR/nope.cfg", "", 1, "[ALERT]    (PID) : config : [DIR/nope.cfg] : cannot read: open DIR/nope.cfg: no such file or directory\n" +
			"[ALERT]    (PID) : config : Error(s) found in configuration file : DIR/nope.cfg\n"},
	} {
		var out, errs bytes.Buffer
		getenv := func(name string) (string, bool) {
			given, value, _ := strings.Cut(tt.env, "=")
			return value, name == given && given != ""
		}
		code := RunEnv(t.Context(), strings.Fields(strings.ReplaceAll(tt.args, "DIR", dir)), Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: getenv})
		got := strings.NewReplacer(dir, "DIR", "("+strconv.Itoa(os.Getpid())+")", "(PID)").Replace(errs.String())
		for n := 2; strings.Contains(tt.want, "cfg:N]") && n < 60; n++ {
			got = strings.Replace(got, "cfg:"+strconv.Itoa(n)+"]", "cfg:N]", 1)
		}
		if code != tt.code || got != tt.want {
			t.Errorf("waggle %s %s: exit %d\n%s\nwant exit %d\n%s", tt.args, tt.env, code, got, tt.code, tt.want)
		}
		message.Shown(t, tt.want)
	}
}

// TestSysdumpRefusesATerminal has the bundle go to where bytes would steer the screen.
func TestSysdumpRefusesATerminal(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	defer terminal.Close()
	var errs bytes.Buffer
	code := RunEnv(t.Context(), []string{"sysdump"}, Env{Stdout: terminal, Stderr: &errs, Getenv: func(string) (string, bool) { return "", false }})
	const want = "waggle: the bundle is binary: waggle sysdump -f haproxy.cfg > waggle.tar.gz\nwaggle: see waggle --help\n"
	if code != ExitUsage || errs.String() != want {
		t.Errorf("exit %d, %s", code, &errs)
	}
	message.Shown(t, want)
}

// TestMistakesOfAnswers has what is said of answers that a running waggle never gives.
func TestMistakesOfAnswers(t *testing.T) {
	sample := func(stat, path string) func() error {
		return func() error {
			_, err := parseTopSample(time.Time{}, strings.NewReader(stat), strings.NewReader(path))
			return err
		}
	}
	table := func(text string) func() error {
		return func() error { return writeTable(&bytes.Buffer{}, strings.NewReader(text)) }
	}
	for _, tt := range []struct {
		do   func() error
		want string
	}{
		{table("a,b\nc\n"), "read statistics: record on line 2: wrong number of fields"},
		{table(""), "waggle has answered nothing"},
		{sample("a,b\nc\n", "{}"), "read statistics: record on line 2: wrong number of fields"},
		{sample("", "{}"), "waggle has answered nothing"},
		{sample("a\n", "x"), "read state of the kernel path: invalid character 'x' looking for beginning of value"},
		{func() error { return writeBundle(full{}, []dumped{{"a", make([]byte, 1<<20)}}, time.Time{}) }, "write a: disk full"},
	} {
		if err := tt.do(); err == nil || err.Error() != tt.want {
			t.Errorf("%v, want %s", err, tt.want)
		}
		message.Shown(t, tt.want)
	}
}

// full takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }
