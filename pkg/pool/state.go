package pool

// Admin is a set of administrative states. A server with any maintenance bit takes no traffic; one
// with a drain bit takes no new sessions. Values are those of HAProxy's `show servers state`
// (srv_admin_state), so that state files and scripts can be read.
type Admin uint8

// The administrative bits.
const (
	ForcedMaint     Admin = 1 << iota // asked for by an operator
	InheritedMaint                    // inherited from a tracked server
	ConfigMaint                       // `disabled` in the configuration
	ForcedDrain                       // asked for by an operator
	InheritedDrain                    // inherited from a tracked server
	ResolutionMaint                   // no usable address from DNS
	NameChanged                       // an operator has the server found by another name; see [Server.Follow]

	KnownAdmin = anyMaint | anyDrain | NameChanged // all bits

	anyMaint = ForcedMaint | InheritedMaint | ConfigMaint | ResolutionMaint
	anyDrain = ForcedDrain | InheritedDrain
)

// Maint says whether any maintenance bit is set.
func (a Admin) Maint() bool { return a&anyMaint != 0 }

// Drain says whether any drain bit is set.
func (a Admin) Drain() bool { return a&anyDrain != 0 }

// OpState is what the checks think of a server. Values are HAProxy's srv_op_state.
type OpState uint8

// The operational states.
const (
	Stopped  OpState = iota // down, or in maintenance
	Starting                // up, within its slow start
	Running                 // up
	Stopping                // up, but asked by its check to take no new sessions (NOLB)
)

// Cause is why a server changed its state. Its text is part of the log line that HAProxy's users
// search for (reference: src/server.c, srv_op_st_chg_cause).
type Cause uint8

// The causes.
const (
	CauseNone          Cause = iota
	CauseHealth              // a health check; the check's description follows
	CauseAgent               // an agent check
	CauseCLI                 // the Runtime API
	CauseStatsPage           // the admin form of the stats page
	CauseConfig              // the configuration
	CauseNoIP                // a valid answer holds no address for this slot
	CauseDNSNX               // NXDOMAIN for longer than `hold nx`
	CauseDNSTimeout          // no answer for longer than `hold timeout`
	CauseDNSRefused          // REFUSED for longer than `hold refused`
	CauseDNSOther            // any other DNS error for longer than `hold other`
	CauseResolved            // the name resolves again
	CauseAddressChange       // the address behind the slot changed
	CauseTracking            // the tracked server's state
	CauseNotInSRV            // no service record is left for this slot
)

var causeText = [...]string{
	CauseNone:          "",
	CauseHealth:        "Health check",
	CauseAgent:         "Agent check",
	CauseCLI:           "changed from CLI",
	CauseStatsPage:     "changed from Web interface",
	CauseConfig:        "changed from configuration",
	CauseNoIP:          "No IP for server ",
	CauseDNSNX:         "DNS NX status",
	CauseDNSTimeout:    "DNS timeout status",
	CauseDNSRefused:    "DNS refused status",
	CauseDNSOther:      "unspecified DNS error",
	CauseResolved:      "resolves again",
	CauseAddressChange: "address changed",
	CauseTracking:      "tracking",
	CauseNotInSRV:      "entry removed from SRV record",
}

// String returns the cause in HAProxy's words.
func (c Cause) String() string { return causeText[c] }

// parenthesis is how lines about maintenance tell the cause: not at all if it was an operator's word.
func (c Cause) parenthesis() string {
	switch c {
	case CauseNone, CauseCLI, CauseStatsPage, CauseAgent:
		return ""
	}
	return " (" + c.String() + ")"
}
