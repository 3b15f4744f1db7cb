package stats

import "waggle/pkg/pool"

// tone is the state of an object as the page colours it. Each tone has a word too: no state is told by
// colour alone.
type tone struct {
	Class string // of the style sheet
	Word  string // in the legend
	Long  string // in the legend
	Count string // after a number of servers
}

// The tones, in the order of the legend.
var (
	toneUp      = tone{"up", "UP", "in use", "up"}
	toneBackup  = tone{"backup", "UP", "backup server", "backup up"}
	toneFalling = tone{"falling", "UP 2/3", "its checks begin to fail", "going down"}
	toneRising  = tone{"rising", "DOWN 1/2", "its checks begin to pass", "going up"}
	toneDown    = tone{"down", "DOWN", "its checks fail; or no server left", "down"}
	toneDrain   = tone{"drain", "DRAIN, NOLB", "no new sessions", "draining"}
	toneLeaving = tone{"leaving", "leaving", "gone from DNS, last resort", "leaving"}
	toneMaint   = tone{"maint", "MAINT", "taken out by an operator", "in maintenance"}
	toneEmpty   = tone{"empty", "MAINT (resolution)", "slot without a task", "without a task"}
	toneNoCheck = tone{"nocheck", "no check", "in use, unchecked", "unchecked"}
)

func legend() []tone {
	return []tone{toneUp, toneBackup, toneFalling, toneRising, toneDown, toneDrain, toneLeaving, toneMaint, toneEmpty, toneNoCheck}
}

// tone gives the row's colour.
func (r *Row) tone() tone {
	switch r.Scope {
	case Frontends, Listeners:
		switch r.Frontend.Status() {
		case pool.FrontendStopped:
			return toneDown
		case pool.FrontendFull:
			return toneFalling
		case pool.FrontendPaused:
			return toneMaint
		}
		return toneUp
	case Backends:
		if r.Up() {
			return toneUp
		}
		return toneDown
	default:
		return r.serverTone()
	}
}

func (r *Row) serverTone() tone {
	v := &r.View
	switch {
	case v.Admin&^pool.ResolutionMaint&^pool.ForcedDrain&^pool.InheritedDrain != 0:
		return toneMaint
	case v.Admin.Maint():
		return toneEmpty
	case v.Op == pool.Stopped && r.View.Checking && v.Health > 0:
		return toneRising
	case v.Op == pool.Stopped:
		return toneDown
	case v.Admin.Drain() || v.Op == pool.Stopping || v.Weight == 0:
		return toneDrain
	case v.Leaving:
		return toneLeaving
	case !r.View.Checking:
		return toneNoCheck
	case v.Health < r.Server.Rise+r.Server.Fall-1:
		return toneFalling
	case r.Server.Backup:
		return toneBackup
	default:
		return toneUp
	}
}
