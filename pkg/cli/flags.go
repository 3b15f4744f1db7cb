package cli

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"waggle/pkg/agent"
)

// settings are what the command line and the environment say.
type settings struct {
	files                                      []string
	check, quiet                               bool
	version, longVersion                       bool
	json                                       bool
	datapath, dnsHold, logFormat, healthSocket string
	healthAddress                              string
	subnetGuard, bpfStats, keepPrivileges      bool
	pinDir                                     string
	keepDatapath                               bool
	ifaces                                     []string
	logLevel                                   slog.Level
	loops                                      int
	flowMax                                    uint32
	portMin, portMax                           uint16
	sources                                    []netip.Addr
	allSources                                 bool
	watch                                      time.Duration // 0 = off
	pidFile, dir                               string
	maxConn, proxyMaxConn, memory              int // 0 = not given; memory in MiB
	strict, noResolve                          bool
	localPeer                                  string
	stop                                       []stopped
	condition                                  *string  // to evaluate; nil for none
	notices                                    []string // of flags that are accepted and mean nothing here
}

// oneFlag is one row of the table of flags.
type oneFlag struct {
	name string
	arg  string // how the help shows the value, e.g. " FILE" or "=off"; "" for a switch
	doc  string
	set  func(s *settings, value string) error
}

func (f oneFlag) takesValue() bool { return f.arg != "" }

// haproxyFlags are written with one dash, and their values follow as a word of their own.
func haproxyFlags() []oneFlag {
	return []oneFlag{
		{"f", " FILE", "configuration file or directory of *.cfg; repeatable", func(s *settings, v string) error {
			s.files = append(s.files, v)
			return nil
		}},
		{"c", "", "check the configuration and exit: 0 valid, 1 not", func(s *settings, _ string) error { s.check = true; return nil }},
		{"V", "", "verbose: takes a -q back", func(s *settings, _ string) error { s.quiet = false; return nil }},
		{"q", "", "quiet: no notices and no warnings", func(s *settings, _ string) error { s.quiet = true; return nil }},
		{"d", "", "debug: --log-level=debug", func(s *settings, _ string) error { s.logLevel = slog.LevelDebug; return nil }},
		{"db", "", "stay in the foreground (always so)", func(*settings, string) error { return nil }},
		{"W", "", "accepted: there is no master process", func(*settings, string) error { return nil }},
		{"v", "", "print the version; -vv prints more", func(s *settings, _ string) error { s.version = true; return nil }},
		{"vv", "", "print the version and what was built in", func(s *settings, _ string) error { s.longVersion = true; return nil }},
	}
}

// ownFlags are written with two dashes; a value follows an equals sign or as the next word.
func ownFlags() []oneFlag {
	return []oneFlag{
		{"datapath", "=auto|tc|xdp|xdp-generic|off", "kernel path: auto falls back, tc and xdp insist", func(s *settings, v string) error {
			return oneOf(&s.datapath, v, "auto", "tc", "xdp", "xdp-generic", "off")
		}},
		{"pin-dir", "=DIR", "pin the kernel path there (BPF file system), to outlive the process", func(s *settings, v string) error {
			if v != "" && !filepath.IsAbs(v) {
				return fmt.Errorf("%q is not an absolute path such as /sys/fs/bpf/waggle", v)
			}
			s.pinDir = v
			return nil
		}},
		{"keep-datapath", "", "leave what is pinned when waggle ends, for the one that follows", func(s *settings, _ string) error {
			s.keepDatapath = true
			return nil
		}},
		{"iface", "=NAME", "attach to this interface only; repeatable", func(s *settings, v string) error {
			for _, name := range strings.Split(v, ",") {
				if name == "" {
					return fmt.Errorf("an interface name is empty")
				}
				s.ifaces = append(s.ifaces, name)
			}
			return nil
		}},
		{"dns-hold", "=waggle|haproxy", "when a task leaves DNS; haproxy: exactly as HAProxy", func(s *settings, v string) error {
			return oneOf(&s.dnsHold, v, "waggle", "haproxy")
		}},
		{"subnet-guard", "=on|off", "refuse task addresses outside of every attached subnet", func(s *settings, v string) error {
			var word string
			if err := oneOf(&word, v, "on", "off"); err != nil {
				return err
			}
			s.subnetGuard = word == "on"
			return nil
		}},
		{"loops", "=N", "event loops; default nbthread, else one for each CPU", func(s *settings, v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 || n > 256 {
				return fmt.Errorf("%q is not a number from 1 to 256", v)
			}
			s.loops = n
			return nil
		}},
		{"flow-max", "=N", "flows that the kernel path holds; default 262144", func(s *settings, v string) error {
			n, err := strconv.ParseUint(v, 10, 24)
			if err != nil || n < 16 {
				return fmt.Errorf("%q is not a number from 16 to 16777215", v)
			}
			s.flowMax = uint32(n)
			return nil
		}},
		{"port-range", "=LOW-HIGH", "source ports of the kernel path; default outside ip_local_port_range", func(s *settings, v string) error {
			return s.setPortRange(v)
		}},
		{"source-ip", "=ADDR,...|interface", "addresses that the kernel path connects from; default the route's", func(s *settings, v string) error {
			return s.setSources(v)
		}},
		{"bpf-stats", "", "measure the kernel path's time per packet; takes CAP_SYS_ADMIN", func(s *settings, _ string) error {
			s.bpfStats = true
			return nil
		}},
		{"keep-privileges", "", "do not drop capabilities that a running balancer does not use", func(s *settings, _ string) error {
			s.keepPrivileges = true
			return nil
		}},
		{"watch-config", "=INTERVAL", "reload when files of -f change; looks so often, as 5s", func(s *settings, v string) error {
			return s.setWatch(v)
		}},
		{"log-level", "=LEVEL", "debug, info (default), warn or error", func(s *settings, v string) error {
			if err := s.logLevel.UnmarshalText([]byte(v)); err != nil {
				return fmt.Errorf("%q is not debug, info, warn or error", v)
			}
			return nil
		}},
		{"log-format", "=text|json", "of the process log on standard error", func(s *settings, v string) error {
			return oneOf(&s.logFormat, v, "text", "json")
		}},
		{"health-address", "=ADDRESS:PORT", "answer /healthz and /readyz by HTTP there", func(s *settings, v string) error {
			if _, _, err := net.SplitHostPort(v); err != nil {
				return fmt.Errorf("%q is not an address with a port such as 127.0.0.1:8405", v)
			}
			s.healthAddress = v
			return nil
		}},
		{"health-socket", "=NAME", "abstract socket to ask and answer at; default @waggle", func(s *settings, v string) error {
			if !strings.HasPrefix(v, "@") || len(v) < 2 || len(v) > 100 {
				return fmt.Errorf("%q is not an abstract socket name such as @waggle", v)
			}
			s.healthSocket = v
			return nil
		}},
		{"strict", "", "warnings are errors", func(s *settings, _ string) error { s.strict = true; return nil }},
		{"json", "", "print JSON, for programs", func(s *settings, _ string) error { s.json = true; return nil }},
	}
}

// setWatch reads how often the files are looked at; "off" is never.
func (s *settings) setWatch(v string) error {
	if v == "off" {
		s.watch = 0
		return nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < minWatch {
		return fmt.Errorf("%q is neither \"off\" nor a time from %s on, such as 5s", v, minWatch)
	}
	s.watch = d
	return nil
}

// minWatch keeps looking at files cheap.
const minWatch = 100 * time.Millisecond

func (s *settings) setPortRange(v string) error {
	low, high, ok := strings.Cut(v, "-")
	a, errA := strconv.ParseUint(low, 10, 16)
	b, errB := strconv.ParseUint(high, 10, 16)
	if !ok || errA != nil || errB != nil || a < 1024 || a > b {
		return fmt.Errorf("%q is not a range of ports such as 1024-32767", v)
	}
	s.portMin, s.portMax = uint16(a), uint16(b)
	return nil
}

func (s *settings) setSources(v string) error {
	s.sources, s.allSources = nil, v == "interface"
	if s.allSources {
		return nil
	}
	for word := range strings.SplitSeq(v, ",") {
		addr, err := netip.ParseAddr(word)
		if err != nil || addr.Is4In6() || addr.Zone() != "" || addr.IsUnspecified() {
			return fmt.Errorf("%q is neither an address nor \"interface\"", word)
		}
		s.sources = append(s.sources, addr)
	}
	for _, v4 := range []bool{true, false} {
		if n := len(ofFamily(s.sources, v4)); n > agent.MaxSources {
			return fmt.Errorf("%d addresses of one family, at most %d", n, agent.MaxSources)
		}
	}
	return nil
}

func ofFamily(addrs []netip.Addr, v4 bool) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return a.Is4() != v4 })
}

func oneOf(dst *string, v string, allowed ...string) error {
	if !slices.Contains(allowed, v) {
		return fmt.Errorf("%q is not one of %s", v, strings.Join(allowed, ", "))
	}
	*dst = v
	return nil
}

// parseFlags reads the environment, then the command line, which wins. Words after `--` are files, as
// in HAProxy.
func parseFlags(e Env, args []string) (*settings, error) {
	s := &settings{datapath: "auto", dnsHold: "waggle", subnetGuard: true, logFormat: "text", healthSocket: "@waggle"}
	for _, f := range ownFlags() {
		if !f.takesValue() {
			continue
		}
		name := f.env()
		if v, ok := e.Getenv(name); ok && v != "" {
			if err := f.set(s, v); err != nil {
				return nil, usageError{fmt.Sprintf("environment variable %s: %v", name, err)}
			}
		}
	}
	fresh := map[string]bool{} // repeatable flags given here replace what the environment said
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "--" {
			s.files = append(s.files, args...)
			break
		}
		f, value, hasValue, err := lookUp(word)
		if err != nil {
			return nil, err
		}
		if f.name == "sf" || f.name == "st" {
			args = s.takePIDs(f.name, args)
			continue
		}
		if f.takesValue() && !hasValue {
			if len(args) == 0 {
				return nil, usageError{fmt.Sprintf("flag %s needs a value", word)}
			}
			value, args = args[0], args[1:]
		}
		if f.name == "iface" && !fresh["iface"] {
			s.ifaces, fresh["iface"] = nil, true
		}
		if err := f.set(s, value); err != nil {
			return nil, usageError{fmt.Sprintf("flag %s: %v", word, err)}
		}
	}
	return s, nil
}

// lookUp finds the flag that a word names.
func lookUp(word string) (f oneFlag, value string, hasValue bool, err error) {
	if !strings.HasPrefix(word, "-") {
		return f, "", false, usageError{fmt.Sprintf("unexpected argument %q: files are given with -f", word)}
	}
	table, name := append(haproxyFlags(), rareFlags()...), strings.TrimPrefix(word, "-")
	if strings.HasPrefix(word, "--") {
		table = ownFlags()
		name, value, hasValue = strings.Cut(strings.TrimPrefix(word, "--"), "=")
	}
	var names []string
	for _, f := range table {
		if f.name == name {
			if hasValue && !f.takesValue() {
				return f, "", false, usageError{fmt.Sprintf("flag --%s takes no value", name)}
			}
			return f, value, hasValue, nil
		}
		names = append(names, f.name)
	}
	return f, "", false, usageError{fmt.Sprintf("unknown flag %s%s", word, didYouMean(name, names))}
}
