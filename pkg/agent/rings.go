package agent

import (
	"fmt"
	"strings"

	"waggle/pkg/accesslog"
	"waggle/pkg/config"
)

// shelvedRing is a ring that the logs of some configurations use. What is declared as before stays, with its lines.
type shelvedRing struct {
	*accesslog.Ring
	users int
}

func ringConfig(r *config.Ring) accesslog.RingConfig {
	out := accesslog.RingConfig{
		Name: r.Name, Description: r.Description, Format: r.Format, Size: r.Size, MaxLength: r.MaxLength,
		ConnectTimeout: r.ConnectTimeout, ServerTimeout: r.ServerTimeout,
	}
	for _, s := range r.Servers {
		out.Servers = append(out.Servers, accesslog.RingServer{Address: s.Address, OctetCount: s.OctetCount})
	}
	return out
}

// takeRing counts a user of a ring, which it makes if it is the first.
func (f *logShelf) takeRing(cfg accesslog.RingConfig) *accesslog.Ring {
	key := fmt.Sprintf("%+v", cfg)
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.rings[key]
	if r == nil {
		r = &shelvedRing{Ring: accesslog.NewRing(cfg)}
		f.rings[key] = r
	}
	r.users++
	return r.Ring
}

// giveBackRing undoes takeRing; the last user closes the ring.
func (f *logShelf) giveBackRing(ring *accesslog.Ring) error {
	if !f.leaveRing(ring) {
		return nil
	}
	err := ring.Close()
	f.mu.Lock()
	f.lost += ring.Dropped()
	f.mu.Unlock()
	return err
}

// leaveRing counts a user off, and says whether it was the last.
func (f *logShelf) leaveRing(ring *accesslog.Ring) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, r := range f.rings {
		if r.Ring == ring {
			if r.users--; r.users == 0 {
				delete(f.rings, key)
				return true
			}
		}
	}
	return false
}

// ringNamed is the ring that a log target names, nil if it names another kind of target.
func ringNamed(rings []*accesslog.Ring, address string) *accesslog.Ring {
	name, ok := strings.CutPrefix(address, "ring@")
	for _, r := range rings {
		if ok && r.Name() == name {
			return r
		}
	}
	return nil
}

// rings are those of the configuration in use.
func (a *Agent) rings() []*accesslog.Ring { return a.now().logs.rings }
