package agent

import "waggle/pkg/config"

// firstProxyID is the number that HAProxy gives to the first proxy of a file (measured on 2.6).
const firstProxyID = 2

// number gives proxies and servers the numbers that `id` asks for; all others get the next number that nobody asks
// for, in the order of the file (HAProxy, section 4.2, id).
func (b *building) number() {
	proxies := numbers{next: firstProxyID, taken: map[int]bool{}}
	for _, p := range b.cfg.Proxies {
		proxies.reserve(p.ID)
	}
	for _, p := range b.cfg.Proxies {
		if p.Disabled {
			continue
		}
		id := proxies.take(p.ID)
		if p.Kind.HasFrontend() {
			b.pool.Frontend(p.Name).ID = id
		}
		if p.Kind.HasBackend() {
			b.pool.Backend(p.Name).ID = id
			b.numberServers(p)
		}
	}
}

func (b *building) numberServers(p *config.Proxy) {
	ids := numbers{next: 1, taken: map[int]bool{}}
	for i := range p.Servers {
		ids.reserve(p.Servers[i].ID)
	}
	servers := b.pool.Backend(p.Name).Servers()
	for i := range p.Servers {
		line := &p.Servers[i]
		wanted := line.ID // of a template it is the first slot's
		for range max(line.High-line.Low+1, 1) {
			servers[0].ID, wanted = ids.take(wanted), 0
			servers = servers[1:]
		}
	}
}

// numbers hands out numbers, some of which are asked for.
type numbers struct {
	next  int
	taken map[int]bool
}

func (n *numbers) reserve(id int) {
	if id > 0 {
		n.taken[id] = true
	}
}

// take returns the reserved number wanted, or the next free one for 0. One that is asked for also uses a number up, as
// HAProxy 2.6 was seen to count: the points of a consistent hash are made of the numbers.
func (n *numbers) take(wanted int) int {
	if wanted > 0 {
		n.next++
		return wanted
	}
	for n.taken[n.next] {
		n.next++
	}
	n.next++
	return n.next - 1
}
