package config

import (
	"net/netip"
	"strings"
	"time"

	"waggle/pkg/sample"
	"waggle/pkg/stick"
	"waggle/pkg/userlist"
)

// Config is a configuration that was read without errors: every reference in it resolves, and what
// `defaults` sections say has been merged into the proxies.
type Config struct {
	Global    Global
	Resolvers []*Resolvers
	Rings     []*Ring  // in file order, then the one that is always there, if it is used
	Peers     []*Peers // in file order
	Proxies   []*Proxy // in file order
	Userlists map[string]*userlist.List
	// References are the files of patterns and maps, and the patterns of ACLs, which change while they are in use.
	References *sample.References
}

// Pos is a place in a configuration file.
type Pos struct {
	File string
	Line int // from 1
	Col  int // from 1, in bytes; 0 if the whole line is meant
}

// before says whether a line of the same file stands behind this one.
func (p Pos) before(other Pos) bool { return p.File == other.File && p.Line < other.Line }

// Global is the `global` section. Zero values mean that nothing was said.
type Global struct {
	MaxConn       int
	Node          string
	LocalPeer     string // among peers; "" = the host's name
	Description   string
	Daemon        bool // noticed, and otherwise ignored
	Logs          []LogTarget
	StatsSockets  []StatsSocket
	HardStopAfter time.Duration
	Grace         time.Duration
	NbThread      int
	BufSize       int // tune.bufsize, bytes
	MaxHdr        int // tune.http.maxhdr
	MaxRewrite    int // tune.maxrewrite, bytes
	// CompressionLevel is tune.comp.maxlevel, 0 = 1; CompressionRate maxcomprate, kilobytes a second, 0 = no limit;
	// CompressionIdle the percentage of idle time below which there is no compression.
	CompressionLevel, CompressionRate, CompressionIdle int
	SpreadChecks                                       int // percent
	// MaxSpreadChecks bounds the time over which the first checks are spread; 0 = their interval.
	MaxSpreadChecks time.Duration

	StatsTimeout    time.Duration // of connections to the stats sockets; 0 = default, 10 s
	StatsMaxConn    int           // on the stats sockets; 0 = default, 10
	LogTag          string        // "" = the program's name
	LogSendHostname *string       // nil = not sent, "" = the host's own name
	TLS             GlobalTLS
	UnixBind        UnixBind

	ServerStateBase, ServerStateFile string // see [Config.ServerStateFile]
}

// StatsSocket is one `stats socket` of the global section.
type StatsSocket struct {
	Pos   Pos
	Path  string // unix path, or "" when Addr or FD is set
	FD    int    // a descriptor that the process was started with and that listens, from 3 on; 0 = none
	Addr  netip.AddrPort
	Mode  uint32 // permission bits of a path; 0 = the umask decides
	Level string // user, operator (default), admin
}

// LogTarget is one `log` line. Inherit marks `log global`.
type LogTarget struct {
	Pos      Pos
	Inherit  bool
	Address  string // "stdout", "stderr", "fd@N", "host:port", "/dev/log", "ring@NAME"
	Format   string // raw, rfc3164, rfc5424, …; "" = the default of the target
	Sample   LogSample
	Length   int
	Facility string
	Level    string // "" = all
	MinLevel string
}

// LogSample chooses lines of a target: of each Size lines in a row those whose numbers, from 1, are in Ranges. A Size of 0
// means all lines.
type LogSample struct {
	Ranges [][2]int // first and last; in order, without overlap
	Size   int
}

// Resolvers is a `resolvers` section; durations have HAProxy's defaults where nothing was said.
type Resolvers struct {
	Pos             Pos
	Name            string
	Nameservers     []Nameserver
	ParseResolvConf bool
	Retries         int           // resolve_retries, default 3
	TimeoutResolve  time.Duration // default 1 s
	TimeoutRetry    time.Duration // default 1 s
	Hold            Hold
	PayloadSize     int // accepted_payload_size as written; 0 = not written
}

// Hold is for how long the last valid answer stays in use in each case. Defaults: 30 s, Valid 10 s,
// Obsolete 0.
type Hold struct{ NX, Other, Refused, Timeout, Valid, Obsolete time.Duration }

// Nameserver is one `nameserver` line.
type Nameserver struct {
	Pos  Pos
	Name string
	Addr netip.AddrPort
	TCP  bool // tcp@
}

// Kind says what a proxy section is.
type Kind uint8

// The kinds. A listen section is both.
const (
	Frontend Kind = iota
	Backend
	Listen
)

// HasFrontend says whether the section accepts connections.
func (k Kind) HasFrontend() bool { return k != Backend }

// HasBackend says whether the section has servers.
func (k Kind) HasBackend() bool { return k != Frontend }

// Proxy is a frontend, backend or listen section.
type Proxy struct {
	Pos         Pos
	Kind        Kind
	Name        string
	ID          int // 0 = not written
	Description string
	HTTP        bool // mode http; otherwise tcp
	Disabled    bool
	MaxConn     int // 0 = the global limit
	RateLimit   int // sessions a second; 0 = any number
	FullConn    int
	Backlog     int
	Timeouts    Timeouts
	Options     Options
	Logs        []LogTarget
	// ErrorLogFormat is for connections that come to nothing and for what is no request; nil = HAProxy's line, or LogFormat.
	ErrorLogFormat *sample.Format
	LogFormatSD    *sample.Format // structured data of lines in rfc5424
	LogFormat      *sample.Format // wins over the options httplog and tcplog; nil = theirs
	LogTag         string         // "" = the global one
	// UniqueID makes the identifier of each request; nil = none. UniqueIDHeader carries it to the server; "" =
	// nothing does.
	UniqueID       *sample.Format
	UniqueIDHeader string
	SendNameHeader string // tells each server its name; "" = none does
	// RequestCaptures and ResponseCaptures are the slots of what is kept of messages for the log.
	RequestCaptures, ResponseCaptures []Capture
	CookieCapture                     CookieCapture
	StickTable                        *stick.Config // nil: none

	// Frontend side.
	Binds []Bind
	ACLs  map[string]*sample.ACL
	// TCPConnection are the rules for connections, TCPSession those behind the PROXY header, and TCPContent those for
	// what comes on them, in HTTP mode each request. A backend has the last alone.
	TCPConnection, TCPSession, TCPContent []TCPRule
	InspectDelay                          time.Duration // tcp-request inspect-delay
	// The rules of messages, those of a named defaults section first.
	HTTPRequest, HTTPResponse, HTTPAfterResponse []HTTPRule

	UseBackend     []UseBackend
	DefaultBackend string
	MonitorURI     string
	MonitorFail    []*sample.Cond // any that holds makes the monitor answer 503

	// Backend side.
	Balance   Balance
	Servers   []Server // in file order, templates not expanded
	Source    Source   // of connections to servers whose line names none
	Retries   int      // default 3
	RetryOn   RetryOn  // default conn-failure
	Cookie    *Cookie
	Check     *HealthCheck // nil = checks connect only
	CookieKey string       // dynamic-cookie-key
	Persist   []PersistRule
	UseServer []UseServer
	Stick     []StickRule
	// Compression of responses; nil = none. It may be shared, and nobody changes it.
	Compression *Compression
	Stats       *Stats         // nil unless `stats enable` or another stats directive
	ErrorFiles  map[int]string // file names by status; each holds a whole response, head included
	HTTPErrors  map[int]*Reply // http-error by status; not for a status that an errorfile has

	LoadServerState     StateSource
	ServerStateFileName string // "" = the backend's name
}

// Timeouts of a proxy; 0 means none, as in HAProxy.
type Timeouts struct {
	Connect, Client, Server, HTTPRequest, HTTPKeepAlive, Queue, Tunnel, ClientFin, ServerFin, Check, Tarpit, ClientHandshake time.Duration
}

// Options are the `option` lines of a proxy.
type Options struct {
	Redispatch         bool
	RedispatchInterval int // default -1
	ForwardFor         *ForwardFor
	OriginalTo         *ForwardFor // its default header is X-Original-To
	HTTPLog, TCPLog    bool
	DontLogNull        bool
	DontLogNormal      bool
	LogASAP            bool
	SocketStats        bool
	LogSeparateErrors  bool
	LogHealthChecks    bool
	// ConnectionMode: keep-alive (default), server-close, close.
	ConnectionMode           ConnectionMode
	AllBackups               bool
	TCPKAClient, TCPKAServer bool
	Abortonclose             bool
	HTTPReuse                HTTPReuse
	Persist                  bool // cookies also lead to servers that are down
	BufferRequest            bool
	NoLinger                 bool // of a frontend for clients, of a backend for servers
	PretendKeepAlive         bool
	DisableH2Upgrade         bool // a connection that begins with the preface of HTTP/2 is not taken for one of that
}

// ConnectionMode is how connections are kept after a response.
type ConnectionMode uint8

// The connection modes, in HAProxy's precedence: the larger wins when both sides say something.
const (
	KeepAlive ConnectionMode = iota
	ServerClose
	Close
)

// HTTPReuse is the policy by which server connections are shared between client sessions.
type HTTPReuse uint8

// The policies; safe is the default.
const (
	ReuseSafe HTTPReuse = iota
	ReuseNever
	ReuseAggressive
	ReuseAlways
)

// ForwardFor is `option forwardfor`.
type ForwardFor struct {
	Except []netip.Prefix
	Header string // default X-Forwarded-For
	IfNone bool
}

// Bind is one address of a `bind` line.
type Bind struct {
	Pos  Pos
	Name string
	// Addr is the address; `*` is 0.0.0.0 and `::` is every IPv6 address. That of a unix socket is one of package unixaddr.
	Addr         netip.AddrPort
	UserTimeout  time.Duration // tcp-ut; 0 = the system's
	Mode         uint32        // permission bits of a unix socket; 0 = the umask decides
	User, Group  string        // whose a unix socket's file becomes, names or numbers; "" = the system decides
	V4V6, V6Only bool
	MaxConn      int
	AcceptProxy  bool
	Interface    string
	TLS          BindTLS
	Proto        string   // h1, h2; "" = by what the client wants
	Params       []string // the words after the address as written, for verdicts and messages
}

// Balance is the algorithm of a backend.
type Balance struct {
	Pos       Pos
	Algorithm string // roundrobin (default), static-rr, leastconn, first, source, random, uri, url_param, hdr, hash
	Args      []string
	Key       BalanceKey // of uri, url_param, hdr and hash

	// What hash-type and hash-balance-factor say. They apply to the algorithms that have a Key; source has its own table.
	Consistent bool   // otherwise map-based
	Function   string // sdbm (default, also ""), djb2, wt6, crc32, none
	Avalanche  bool
	Factor     int // percent; 0 = no bound
}

// BalanceKey is the part of a request that a hashing algorithm goes by.
type BalanceKey struct {
	Name       string       // of the parameter or header
	DomainOnly bool         // of a host only what stands before its last dot
	Whole      bool         // uri: with the query
	PathOnly   bool         // uri: without scheme and authority
	Len, Depth int          // uri: bytes and slashes behind the first at most; 0 = no bound
	Expr       *sample.Expr // hash
}

// InitAddr is one method of `init-addr`.
type InitAddr struct {
	Method string     // last, libc, none, ip
	IP     netip.Addr // for ip
}

// Server is one `server` or `server-template` line.
type Server struct {
	Pos               Pos
	ID                int            // 0 = not written; of a template: of its first slot
	Name              string         // of a template: the prefix
	Low, High         int            // of a template: the slots' numbers, inclusive; 0,0 for a server line
	Host              string         // FQDN or literal as written
	Addr              netip.AddrPort // literal address with port, also of a unix socket (package unixaddr); for an FQDN only the port
	PortOffset        int            // of "host:+N" and "host:-N"; 0 = none
	HasPort           bool
	Weight            int
	Backup, Disabled  bool
	MaxConn, MaxQueue int
	// MinConn is how many of MaxConn there are when the backend has few sessions, and more as they come near its FullConn;
	// 0 = all, always. It is below MaxConn.
	MinConn          int
	Check            CheckOptions
	Agent            AgentOptions
	Track            string // server, or backend/server, whose state this one follows; "" = none
	InitState        string // "", up, fully-up, down, fully-down
	Observe          string // "", layer4, layer7
	OnError          string // "", fail-check, fastinter, sudden-death, mark-down
	NonStick         bool   // stick tables do not learn it
	ErrorLimit       int    // 0 = HAProxy's default, 10
	ShutdownBackups  bool   // on-marked-up shutdown-backup-sessions
	Cookie           string
	Resolvers        string // name of a resolvers section; "" also for a literal address
	ResolvePrefer    string // "", ipv4, ipv6
	ResolveNet       []netip.Prefix
	AllowDupIP       bool
	IgnoreWeight     bool          // of service records
	InitAddr         []InitAddr    // nil = HAProxy's default
	UserTimeout      time.Duration // tcp-ut; 0 = the system's
	SendProxy        int           // 0, 1, 2
	Source           Source        // of this line; see [Proxy.SourceOf]
	ShutdownSessions bool          // on-marked-down shutdown-sessions
	Slowstart        time.Duration
	TLS              ServerTLS
	Params           []string // the words after the address as written
}

// Template says whether the line is a server-template.
func (s *Server) Template() bool { return s.High > 0 }

// Service says whether the line follows service records (SRV), which carry ports and weights.
func (s *Server) Service() bool { return strings.HasPrefix(s.Host, "_") && !s.Addr.Addr().IsValid() }

// CheckOptions are a server's check settings; zero durations mean HAProxy's defaults (inter 2 s,
// fastinter and downinter as inter).
type CheckOptions struct {
	Enabled                     bool
	Inter, FastInter, DownInter time.Duration
	Rise, Fall                  int // defaults 2 and 3
	Port                        int // 0 = the server's
	Addr                        netip.Addr
	SendProxy                   bool // check-send-proxy
}

// AgentOptions are a server's agent-check settings.
type AgentOptions struct {
	Enabled bool
	Port    int
	Addr    netip.Addr    // invalid = the server's
	Inter   time.Duration // 0 = that of the checks
	Send    string
}

// Cookie is the `cookie` line of a backend.
type Cookie struct {
	Pos  Pos
	Name string
	// Without Insert, Prefix or Rewrite the servers set the cookie, and it is only looked at.
	Insert, Prefix, Rewrite   bool
	Indirect, NoCache         bool
	PostOnly, Preserve        bool
	HTTPOnly, Secure, Dynamic bool
	Domains, Attributes       []string
	MaxIdle, MaxLife          time.Duration // whole seconds; 0 = none
}

// PersistRule is one force-persist or ignore-persist line.
type PersistRule struct {
	Force bool // otherwise persistence is ignored
	Cond  *sample.Cond
}

// UseServer is one use-server line.
type UseServer struct {
	Pos    Pos
	Server string
	Format *sample.Format // makes the server's name for each request, instead of Server; nil = a fixed name
	Cond   *sample.Cond   // nil = always
}
