package proxy

import (
	"sync"
	"time"

	"waggle/pkg/config"
)

// changePattern does what add-acl, set-map, del-acl and del-map say.
func (s *session) changePattern(r *config.HTTPRule) {
	subj := (*subject)(s)
	buf := s.w.text[:0]
	if r.Format != nil {
		buf = r.Format.Append(buf, subj, s)
	}
	n := len(buf)
	buf = r.Key.Append(buf, subj, s)
	s.w.text = buf
	value, key := buf[:n], buf[n:]
	if r.Action == config.ActionDropPattern {
		r.File.Drop(key)
		return
	}
	if err := r.File.Put(key, value); err != nil {
		s.feShard().FailedRewrites.Add(1)
		if s.be != nil {
			s.be.stats.Counters.Shard(s.w.shard).FailedRewrites.Add(1)
		}
		if s.w.e.fullFiles.say(time.Now()) {
			s.w.e.log.Warn("a rule adds nothing any more to a file of patterns", "proxy", s.fe.cfg.Name, "rule", r.Pos, "why", err)
		}
	}
}

// fullFiles is when it was last said that a file takes no more: clients choose how often it would be.
type fullFiles struct {
	mu   sync.Mutex
	last time.Time
}

func (f *fullFiles) say(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.last.IsZero() && now.Sub(f.last) < warnEvery {
		return false
	}
	f.last = now
	return true
}
