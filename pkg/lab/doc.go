// Package lab builds a small Docker Swarm out of network namespaces, for the demo, tests and benchmarks.
//
//	client ──eth0─ node ─gwbridge─ eth1─ balancer ─eth0 ─ overlay ─┬─ eth0 task web-1
//	198.18.0.2     172.18.0.1            172.18.0.3   10.0.1.2     ├─ eth0 task web-2
//	               MTU 1500                           MTU 1450     └─ eth0 task web-3
//
// What it shares with Swarm: the balancer has one leg on an overlay network (MTU 1450, a bridge between it
// and the tasks) and one on docker_gwbridge (MTU 1500, the default route) with ip_forward=0; tasks have
// hostnames of their own and no way back to the client but through the balancer; a DNS server on
// 127.0.0.11:53 inside the balancer's namespace answers as Docker's does; a task that is stopped leaves DNS
// before it gets SIGTERM. What it does not have: VXLAN, IPVS, the ingress mesh, NAT of published ports.
//
// Nothing is left behind. Namespaces have no name anywhere in the file system: they exist while this process
// holds a descriptor or an actor runs in them. Every actor is the first process of a PID namespace of its own
// and asks the kernel for SIGKILL when its parent dies, so no descendant of an actor outlives the lab, even
// if the process that made the lab is killed with SIGKILL. No file is written outside the actors' private
// mounts, and nothing of the host's network is touched.
//
// Actors are this program, executed again: a program or test binary that makes a lab must call [Main] first
// thing in main or TestMain. It needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN) and Linux 5.3 or later.
package lab
