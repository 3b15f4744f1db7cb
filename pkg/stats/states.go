package stats

import "waggle/pkg/pool"

// listenerStates are HAProxy's: WAITING while the frontend's limit or the process's keeps it from accepting, FULL at its own.
var listenerStates = [...]string{"WAITING", "OPEN", "FULL"}

func (r *Row) listenerState() int {
	switch {
	case r.Listener.Limit > 0 && r.Listener.Sessions.Load() >= int64(r.Listener.Limit):
		return 2
	case r.Frontend.Status() == pool.FrontendFull:
		return 0
	}
	return 1
}

// stateSet lists all names with a count of 1 for the current one.
func stateSet(names []string, current int) []State {
	set := make([]State, len(names))
	for i, n := range names {
		set[i].Name = n
		if i == current {
			set[i].Count = 1
		}
	}
	return set
}

// statusStates is the status of an object: of proxies DOWN or UP, of servers also MAINT, DRAIN, NOLB.
func statusStates(r *Row) []State {
	up := 0
	switch r.Scope {
	case Frontends:
		if r.Frontend.Status() != pool.FrontendStopped {
			up = 1
		}
	case Listeners:
		return stateSet(listenerStates[:], r.listenerState())
	case Backends:
		if r.Up() {
			up = 1
		}
	default:
		return stateSet(serverStates[:], int(r.state()))
	}
	return stateSet(serverStates[:stateUp+1], up)
}

// checkStates is the outcome of a server's last check; nothing while it is not checked.
func checkStates(r *Row) []State {
	if !r.checking() {
		return nil
	}
	var set []State
	for _, s := range pool.CheckStatuses() {
		st := State{Name: s.String()}
		if s == r.View.Check.Status {
			st.Count = 1
		}
		set = append(set, st)
	}
	return set
}

// serverTally counts a backend's servers by state; nothing for a backend without servers.
func serverTally(r *Row) []State {
	if r.Tally.Total == 0 {
		return nil
	}
	set := stateSet(serverStates[:], -1)
	for i := range set {
		set[i].Count = r.Tally.States[i]
	}
	return set
}

// checkTally counts a backend's servers by the outcome of their last check.
func checkTally(r *Row) []State {
	if r.Tally.Total == 0 {
		return nil
	}
	var set []State
	for _, s := range pool.CheckStatuses() {
		set = append(set, State{Name: s.String(), Count: r.Tally.Checks[s]})
	}
	return set
}
