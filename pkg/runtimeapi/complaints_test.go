package runtimeapi

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/lab/message"
	"waggle/pkg/pool"
	"waggle/pkg/stats"
	"waggle/pkg/stick"
	"waggle/pkg/unixaddr"
)

// obedient makes no change, and says that it has, or that it could not.
type obedient struct{ err error }

func (o obedient) AddServer(*pool.Backend, string, []string) error { return o.err }
func (o obedient) RemoveServer(*pool.Server) error                 { return o.err }
func (o obedient) SetName(*pool.Server, string, string) error      { return o.err }
func (o obedient) SwitchFrontend(f *pool.Frontend, to pool.Switch) error {
	f.SetSwitch(to)
	return o.err
}

// crowded is a balancer with what balancer lacks: an agent, a server found by a service record, one that tracks, followed
// ones, limits.
func crowded() *stats.Snapshot {
	s := balancer()
	web := s.Proxies[1].Backend
	add := func(name string, change func(*pool.ServerOptions)) *pool.Server {
		o := pool.DefaultServerOptions()
		o.Name, o.Addr = name, netip.MustParseAddrPort("10.0.0.7:80")
		change(&o)
		return web.AddServer(o)
	}
	add("agent", func(o *pool.ServerOptions) { o.Agent = true })
	add("srv", func(o *pool.ServerOptions) { o.FQDN = "_http._tcp.web" })
	tracking := add("tracking", func(*pool.ServerOptions) {})
	tracking.Track(web.Servers()[0])
	add("plain", func(*pool.ServerOptions) {})
	add("local", func(o *pool.ServerOptions) { o.Addr = unixaddr.Of("/run/web.sock") })
	s.Resolvers = nil
	web.AddGroup("task", web.Servers()[1:2])
	return s
}

// TestComplaints has each answer that other tests do not demand word for word; test/messages holds all tests to that.
func TestComplaints(t *testing.T) {
	willing, broken := Options{Control: obedient{}}, Options{Control: obedient{errors.New("it broke")}}
	tables := Options{Tables: func() []*stick.Table { return nil }}
	loops := Options{Loops: func() ([]Loop, error) { return nil, errors.New("they are busy") }}
	for _, tt := range []struct {
		opts       Options
		line, want string
	}{
		{Options{}, "enable agent web/one", "Agent was not configured on this server, cannot enable.\n"},
		{Options{}, "set server web/one agent up", "agent checks are not enabled on this server.\n"},
		{Options{}, "set server web/one agent-port 3", "agent checks are not enabled on this server"},
		{Options{}, "set server web/agent agent sideways", "'set server <srv> agent' expects 'up' or 'down'.\n"},
		{Options{}, "set server web/agent agent-port x", "provided port is not an integer"},
		{Options{}, "set server web/agent agent-addr x", "set server <b>/<s> agent-addr requires an address and optionally a port.\n"},
		{Options{}, "set server web/agent agent-addr 10.0.0.1 port x", "provided port is not an integer"},

		{Options{}, "set server web/tracking health up", "cannot change health on a tracking server.\n"},
		{Options{}, "set server web/one health well", "'set server <srv> health' expects 'up', 'stopping', or 'down'.\n"},
		{Options{}, "enable health web/plain", "Health check was not configured on this server, cannot enable.\n"},
		{Options{}, "set server web/local addr 10.0.0.1", "Update for the current server address family is only supported through configuration file by 'stats socket command'\n"},
		{Options{}, "set server web/one addr", "set server <b>/<s> addr requires an address and optionally a port.\n"},
		{Options{}, "set server web/one addr web", "Invalid addr 'web' by 'stats socket command'\n"},
		{Options{}, "set server web/one addr 10.0.0.1", "no need to change the addr by 'stats socket command'\n"},
		{Options{}, "set server web/one addr 10.0.0.2 port x", "IP changed from '10.0.0.1' to '10.0.0.2', problem converting port 'x' to an int by 'stats socket command'\n"},
		{Options{}, "set server web/one addr 10.0.0.1 port 80", "no need to change the addr, no need to change the port by 'stats socket command'\n"},
		{Options{}, "set server web/one addr 10.0.0.2 port 81", "IP changed from '10.0.0.1' to '10.0.0.2', port changed from '80' to '81' by 'stats socket command'\n"},
		{Options{}, "set server web/plain check-port 1", "health checks are not enabled on this server"},
		{Options{}, "set server web/one check-port", "set server <b>/<s> check-port requires a port.\n"},
		{Options{}, "set server web/one check-port x", "provided port is not an integer"},
		{Options{}, "set server web/one check-port 65536", "provided port is invalid"},
		{Options{}, "set server web/plain check-addr 10.0.0.1", "health checks are not enabled on this server"},
		{Options{}, "set server web/one check-addr x", "set server <b>/<s> check-addr requires an address and optionally a port.\n"},

		{willing, "set server web/two fqdn", "set server <b>/<s> fqdn requires a FQDN.\n"},
		{willing, "set server web/srv fqdn a", "set server <b>/<s> fqdn failed because SRV resolution is configured.\n"},
		{willing, "set server web/one fqdn a", "set server <b>/<s> fqdn failed because no resolution is configured.\n"},
		{willing, "set server web/two fqdn a/b", "invalid fqdn 'a/b' by 'stats socket command'\n"},
		{willing, "set server web/two fqdn task", "no need to change the FDQN by 'stats socket command'\n"},
		{willing, "set server web/two fqdn other", "web/two changed its FQDN from task to other by 'stats socket command'\n"},
		{broken, "set server web/two fqdn other", "could not update web/two FQDN by 'stats socket command'\n"},

		{Options{}, "set server web/one ssl on", "'set server <srv> ssl' cannot be set.  default-server should define ssl settings\n"},
		{Options{}, "set server web/one colour red", "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | " +
			"check-addr | check-port | fqdn | health | ssl | state | weight\n"},

		{Options{}, "add server web", "Require 'backend/server'."},
		{Options{}, "add server still/x 10.0.0.1:80", "Backend must use a dynamic load balancing to support dynamic servers."},
		{Options{}, "add server nope/x 10.0.0.1:80", "No such backend."},
		{Options{}, "add server web/x 10.0.0.1:80", "Servers cannot be added or removed here.\n"},
		{willing, "add server web/x", "'server' expects <name> and <addr>[:<port>] as arguments.\n"},
		{willing, "add server web/x 10.0.0.1:80", "New server registered.\n"},
		{broken, "add server web/x 10.0.0.1:80", "it broke\n"},
		{willing, "del server web/one", "Server deleted."},
		{broken, "del server web/one", "it broke"},
		{Options{}, "wait -h", waitHelp},
		{Options{}, "wait 0 srv-removable web/plain", "Wait delay expired. Only servers in maintenance mode can be deleted.\n"},

		{Options{}, "enable frontend in", "All sockets are already enabled.\n"},
		{Options{}, "disable frontend in", "Frontends cannot be switched here.\n"},
		{broken, "disable frontend in", "Not all of the frontend's sockets have followed: it broke.\n"},
		{willing, "disable frontend in;disable frontend in", "\nAll sockets are already disabled.\n"},
		{willing, "shutdown frontend in;enable frontend in", "\nFrontend was previously shut down, cannot enable.\n"},
		{willing, "shutdown frontend in;disable frontend in", "\nFrontend was previously shut down, cannot disable.\n"},
		{willing, "shutdown frontend in;shutdown frontend in", "\nFrontend was already shut down.\n"},

		{Options{}, "set maxconn server web/one", "Require <maxconn>.\n"},
		{Options{}, "set maxconn server web/one x", "maxconn string empty or preceded by garbage"},
		{Options{}, "set maxconn server web/one 3x", "Trailing garbage in maxconn string"},
		{Options{}, "set maxconn frontend", "A frontend name is expected.\n"},
		{Options{}, "set maxconn frontend web", "No such frontend.\n"},
		{Options{}, "set maxconn frontend in", "Integer value expected.\n"},
		{Options{}, "set maxconn frontend in -1", "Value out of range.\n"},
		{Options{}, "set maxconn global", "Expects an integer value.\n"},
		{Options{}, "set maxconn global 101", "Value out of range.\n"},

		{Options{}, "prompt x", "'prompt' expects 'n', 'i' or 'p'.\n"},
		{Options{}, "show resolvers", "No resolvers found\n"},
		{Options{}, "show explain nope", "No such frontend.\n"},
		{Options{}, "show errors nope", "No such proxy.\n"},
		{Options{}, "show flows", "The kernel path is off: there are no flows.\n"},
		{Options{Sessions: &carried{err: ErrNoKernelPath}}, "show flows", "Cannot list flows: the kernel path is off.\n"},
		{Options{}, "show sess 0xz", "Session not found.\n"},
		{Options{Sessions: &carried{err: errors.New("it broke")}}, "show sess", "Cannot list sessions: it broke.\n"},
		{Options{Sessions: &carried{streamsErr: errors.New("it broke")}}, "show sess", "Cannot list sessions: it broke.\n"},
		{Options{Sessions: &carried{err: errors.New("it broke")}}, "shutdown session 1", "Cannot end the session: it broke.\n"},
		{Options{Sessions: &carried{err: errors.New("it broke")}}, "shutdown sessions server web/one", "Cannot end all sessions: it broke.\n"},
		{Options{}, "shutdown sessions server web/one", "Sessions cannot be ended here.\n"},
		{loops, "show activity", "Cannot ask the event loops: they are busy.\n"},
		{Options{}, "show fd x", "Invalid file descriptor.\n"},
		{Options{}, "show env NOSUCH", "Variable not found\n"},
		{Options{}, "show table nope", "No such table\n"},
		// As HAProxy 2.6 was seen to answer.
		{Options{Tables: aTable}, "show table t value 3", "Optional argument only supports \"data.<store_data_type>\" <operator> <value> and key <key>\n"},
		{Options{Tables: aTable}, "show table t key", "Key value expected\n"},
		{Options{Tables: aTable}, "show table t data.x gt 3", "Filter entry #1: Unknown data type\n"},
		{Options{Tables: aTable}, "show table t data.gpc1 gt 3", "Filter entry #1: Data type not stored in this table\n"},
		{Options{Tables: aTable}, "show table t data.gpc0 is 3", "Filter entry #1: Require and operator among \"eq\", \"ne\", \"le\", \"ge\", \"lt\", \"gt\"\n"},
		{Options{Tables: aTable}, "show table t data.gpc0 gt 3 data.gpc0 lt -1", "Filter entry #2: Require a valid integer value to compare against\n"},
		{Options{Tables: aTable}, "show table t" + strings.Repeat(" data.gpc0 gt 1", 5), "Filter entry #5: there are at most 4 of them\n"},
		{tables, "clear table nope", "No such table\n"},
		{Options{Tables: aTable}, "clear table t value 3", "Optional argument only supports \"key\" and a key.\n"},
		{Options{Tables: aBinaryTable}, "clear table t key 00", "Removing keys from tables of type other than ip, ipv6, string and integer is not supported\n"},
		{Options{}, "set timeout cli", "Expects an integer value.\n"},
		{Options{}, "trace 198.51.100.7 in", "The kernel path is off: userspace takes all connections.\n"},
		{Options{Tracer: &foreseen{err: errors.New("no such frontend")}}, "trace 198.51.100.7 in", "Cannot trace: no such frontend.\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := &session{server: New(fixed{crowded()}, tt.opts), level: Admin, ctx: t.Context()}
			if got := answersTo(c, tt.line); got != tt.want+"\n" {
				t.Errorf("%s answers\n%q\nwant\n%q", tt.line, got, tt.want)
			}
		})
		message.Shown(t, tt.want)
	}
}

func aTable() []*stick.Table {
	cfg := stick.Config{Name: "t", Type: "ip", Size: 10, Expire: time.Minute}
	cfg.Stores[stick.GPC0] = true
	return []*stick.Table{stick.New(cfg)}
}

func aBinaryTable() []*stick.Table {
	return []*stick.Table{stick.New(stick.Config{Name: "t", Type: "binary", Len: 4, Size: 10})}
}

// TestComplaintsOfSockets has what is said when a stats socket cannot be had.
func TestComplaintsOfSockets(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := taken.Addr().(*net.TCPAddr).AddrPort()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // whatever the umask
		t.Fatal(err)
	}
	for _, tt := range []struct {
		cfg  config.StatsSocket
		want string
	}{
		{config.StatsSocket{Path: filepath.Join(dir, "s"), Level: "root"}, `unknown level "root": user, operator or admin`},
		{config.StatsSocket{Addr: at}, "listen on stats socket " + at.String() + ": listen tcp " + at.String() + ": bind: address already in use"},
		{config.StatsSocket{Path: dir}, "listen on stats socket " + dir + ": there is something else than a socket (drwxr-xr-x)"},
	} {
		if _, err := listen(tt.cfg); err == nil || err.Error() != tt.want {
			t.Errorf("%v\nwant %s", err, tt.want)
		}
		message.Shown(t, tt.want)
	}
}
