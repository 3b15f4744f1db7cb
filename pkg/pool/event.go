package pool

// Level is how much an event matters; HAProxy logs state changes at these syslog levels.
type Level uint8

// The levels.
const (
	Notice Level = iota
	Warning
	Alert
	Emergency
)

// EventKind classifies events for counters and filters; people read the text.
type EventKind uint8

// The kinds.
const (
	EventUp          EventKind = iota // a server takes traffic again
	EventDown                         // a server was taken down by its checks
	EventMaint                        // a server entered maintenance
	EventReady                        // a server left maintenance
	EventDrain                        // a server is draining
	EventLeaving                      // a server's address left DNS
	EventAddress                      // a server's address changed
	EventCheck                        // a check's outcome, for option log-health-checks
	EventErrors                       // traffic shows errors; without a text
	EventSurplus                      // DNS knows more tasks than there are slots
	EventBackendDown                  // no server left
	EventBackendUp                    // a first server is back
)

// Event is one committed change. Text is the log line in HAProxy's words, without time or level.
type Event struct {
	Kind    EventKind
	Level   Level
	Backend *Backend
	Server  *Server // nil for events of the backend
	Text    string
}
