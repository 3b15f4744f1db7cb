package agent_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/lab/dnsserver"
)

// TestSetServerFQDN: discovery finds a server by the name that an operator gives it, also after the configuration was read
// anew, and after a restart with the states that were kept.
func TestSetServerFQDN(t *testing.T) {
	names := dnsserver.New("stack")
	for name, addr := range map[string]string{"web": "127.0.0.1", "db": "127.0.0.2", "other": "127.0.0.3"} {
		if err := names.Set(name, netip.MustParseAddr(addr)); err != nil {
			t.Fatal(err)
		}
	}
	dns, err := dnsserver.Listen("127.0.0.1:0", names)
	if err != nil {
		t.Fatal(err)
	}
	defer dns.Close()
	follow := func(name string) func(string) string {
		return func(text string) string {
			head, _, _ := strings.Cut(text, "\nbackend be\n")
			return head + "\nbackend be\n  server-template t 2 " + name + ":80 resolvers r init-addr last,none\n" +
				"resolvers r\n  nameserver n " + dns.Addr() + "\n  timeout resolve 100ms\n"
		}
	}
	dir, file := writeStateConfig(t, follow("web"))
	socket := filepath.Join(dir, "s")
	var states string
	t.Run("reload", func(t *testing.T) { // the process ends with it
		startReloadable(t, file)
		waitForSocket(t, socket)
		waitForServers(t, socket, "t1 127.0.0.1 web", "t2 - web")
		if answer := runtimeCommand(t, socket, "set server be/t2 fqdn db\n"); answer != "be/t2 changed its FQDN from web to db by 'stats socket command'\n\n" {
			t.Errorf("answered %q", answer)
		}
		states = waitForServers(t, socket, "t1 127.0.0.1 web", "t2 127.0.0.2 db")
		reload(t, socket, file, file)
		waitForServers(t, socket, "t1 127.0.0.1 web", "t2 127.0.0.2 db")
		if err := names.Set("db", netip.MustParseAddr("127.0.0.4")); err != nil {
			t.Fatal(err)
		}
		waitForServers(t, socket, "t1 127.0.0.1 web", "t2 127.0.0.4 db") // it is found by it, not only there
		runtimeCommand(t, socket, "set server be/t1 fqdn db\n")
		waitForServers(t, socket, "t1 - db", "t2 127.0.0.4 db") // no address takes two servers
		_, changed := writeStateConfig(t, follow("other"))
		reload(t, socket, file, changed)
		waitForServers(t, socket, "t1 127.0.0.3 other", "t2 - other")
	})

	dir, file = writeStateConfig(t, follow("web"))
	if err := os.WriteFile(filepath.Join(dir, "states"), []byte(states), 0o600); err != nil {
		t.Fatal(err)
	}
	startWaggle(t, file)
	waitForSocket(t, filepath.Join(dir, "s"))
	waitForServers(t, filepath.Join(dir, "s"), "t1 127.0.0.1 web", "t2 127.0.0.4 db")
}

// startReloadable is startWaggle with SIGHUP.
func startReloadable(t *testing.T, file string) {
	t.Helper()
	loads := 0 // called by one goroutine at a time
	load := func() (*config.Config, []string, error) {
		loads++
		cfg, _, err := config.Load([]string{file}, config.LoadOptions{})
		return cfg, []string{fmt.Sprint("load ", loads)}, err
	}
	runUntilEnd(t, newWaggle(t, file, load))
}

// reload puts the backend of another file into the one in use, and has that read anew.
func reload(t *testing.T, socket, file, from string) {
	t.Helper()
	mine, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(mine), "\nbackend be\n")
	_, tail, _ := strings.Cut(string(other), "\nbackend be\n")
	if err := os.WriteFile(file, []byte(head+"\nbackend be\n"+tail), 0o600); err != nil {
		t.Fatal(err)
	}
	before := runtimeCommand(t, socket, "show startup-logs\n")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); runtimeCommand(t, socket, "show startup-logs\n") == before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the configuration is not read anew")
		}
	}
}

// waitForServers waits until the servers of backend be are what is wanted of them: name, address, and what they are found by.
func waitForServers(t *testing.T, socket string, want ...string) (states string) {
	t.Helper()
	wanted, found := strings.Join(want, ", "), ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		states = runtimeCommand(t, socket, "show servers state be\n")
		var all []string
		for line := range strings.Lines(states) {
			if w := strings.Fields(line); len(w) > 18 && w[0] != "#" {
				all = append(all, fmt.Sprint(w[3], " ", w[4], " ", w[17]))
			}
		}
		if found = strings.Join(all, ", "); found == wanted {
			return states
		}
	}
	t.Fatalf("servers are %s, want %s", found, wanted)
	return ""
}
