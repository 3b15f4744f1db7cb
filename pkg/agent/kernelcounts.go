package agent

import (
	"time"

	"waggle/pkg/datapath"
	"waggle/pkg/pool"
)

// collect adds what the kernel has counted since the last time to the pool's counters. Counters of both
// paths add up there.
func (k *kernel) collect() {
	dp := k.path()
	if dp == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.bring(dp.Counters())
}

// bring does it with what the kernel path has counted until now. The caller holds mu.
func (k *kernel) bring(now datapath.Snapshot) {
	conns := &k.plan().pool.Process.Conns
	conns.SetKernel(held(now.Total, conns))
	k.frontends(now)
	k.backends(now)
	if k.begun {
		k.last = now
	}
}

// held is how many flows of c count in g: those that are established. Where the kernel path counts for itself, for want of shared places,
// also those that may be any moment.
func held(c datapath.Counts, g *pool.Gauge) int64 {
	if g.Shared() {
		return int64(c.Current)
	}
	return int64(c.Current + c.HalfOpen)
}

// growth is what has been counted since the last time. Before begin it is nothing: it waits for those whose it is to be known.
func (k *kernel) growth(now, last datapath.Counts) datapath.Counts {
	if !k.begun {
		return datapath.Counts{}
	}
	return grown(now, last)
}

func (k *kernel) frontends(now datapath.Snapshot) {
	for _, s := range k.plan().byID {
		n, d := now.Services[s.id], k.growth(now.Services[s.id], k.last.Services[s.id])
		shard := s.frontend.Counters.Shard(pool.KernelShard)
		shard.Connections.Add(d.Sessions + d.Failures)
		shard.Sessions.Add(d.Sessions + d.Failures)
		shard.ClientAborts.Add(d.ClientAborts)
		shard.BytesIn.Add(d.BytesIn)
		shard.BytesOut.Add(d.BytesOut)
		s.frontend.Sessions.SetKernel(held(n, &s.frontend.Sessions))
	}
}

func (k *kernel) backends(now datapath.Snapshot) {
	current, backends := map[any]int64{}, map[any]*pool.Backend{}
	for key, s := range k.servers.all() {
		n, d := now.Servers[key], k.growth(now.Servers[key], k.last.Servers[key])
		s.SetKernelSessions(held(n, &s.Sessions))
		backends[s.Backend.Identity()] = s.Backend
		current[s.Backend.Identity()] += int64(n.Current)
		addKernel(s.Counters.Shard(pool.KernelShard), d)
		addKernel(s.Backend.Counters.Shard(pool.KernelShard), d)
		for _, t := range []*pool.Times{&s.Times, &s.Backend.Times} {
			t.AddSessions(d.Ended, d.Connect.Sum, d.Connect.Longest, d.Life.Sum, d.Life.Longest)
		}
		if d.Sessions > 0 {
			sec := time.Now().Unix()
			s.LastSession.Set(sec)
			s.Backend.LastSession.Set(sec)
		}
	}
	for b, n := range current {
		backends[b].Sessions.SetKernel(n)
	}
}

// addKernel adds what the kernel path has counted to the counters of a server or backend.
func addKernel(to *pool.Shard, d datapath.Counts) {
	to.Sessions.Add(d.Sessions + d.Failures)
	to.LBTotal.Add(d.Connections)
	to.Connects.Add(d.Connections + d.Retries)
	to.ConnErrors.Add(d.Failures)
	to.ClientAborts.Add(d.ClientAborts)
	to.ServerAborts.Add(d.ServerResets + d.ServerTimeouts)
	to.RespErrors.Add(d.ServerResets) // as HAProxy has it
	to.Retries.Add(d.Retries)
	to.Redispatches.Add(d.Redispatches)
	to.BytesIn.Add(d.BytesIn)
	to.BytesOut.Add(d.BytesOut)
}

// grown is how much cumulative counters grew. A counter that went back was started anew. Of the longest times those are left
// that are new.
func grown(now, last datapath.Counts) datapath.Counts {
	return datapath.Counts{
		Sessions: more(now.Sessions, last.Sessions), Connections: more(now.Connections, last.Connections),
		Retries: more(now.Retries, last.Retries), Redispatches: more(now.Redispatches, last.Redispatches),
		Failures: more(now.Failures, last.Failures), Ended: more(now.Ended, last.Ended),
		ClientAborts: more(now.ClientAborts, last.ClientAborts), ServerResets: more(now.ServerResets, last.ServerResets), ServerTimeouts: more(now.ServerTimeouts, last.ServerTimeouts),
		Connect: longer(now.Connect, last.Connect), Life: longer(now.Life, last.Life),
		BytesIn: more(now.BytesIn, last.BytesIn), BytesOut: more(now.BytesOut, last.BytesOut),
	}
}

func more[N uint64 | time.Duration](now, last N) N {
	if now < last {
		return now
	}
	return now - last
}

func longer(now, last datapath.Spans) datapath.Spans {
	d := datapath.Spans{Sum: more(now.Sum, last.Sum)}
	if now.Longest != last.Longest {
		d.Longest = now.Longest
	}
	return d
}
