// Package drive takes a real Docker Swarm through rolling updates, scaling, deaths and illness, while every
// balancer under test carries the same steady load, and counts each request that fails or is slow.
//
//	client ── node ─┬─ waggle, recommended     ─┐
//	                ├─ waggle, seed's file     ─┼─ overlay ─ tasks of service "web"
//	                ├─ HAProxy, recommended    ─┤
//	                └─ …                       ─┘
//
// All balancers are services of one swarm and stand in front of the same tasks at the same time: each meets the
// same updates, at the same moments, on the same machine. Tasks are ./test/swarm/task, which also counts what
// reaches it after its SIGTERM.
package drive
