// Package engine starts a Docker Engine that nobody else's engine meets, for tests with a real swarm.
//
//	client ns                        node ns (and mount, PID, IPC, UTS namespaces of its own)
//	192.0.2.9 br0 ─┬─ veth ──── eth0 192.0.2.1   dockerd ─ containerd ─ containers
//	DNS: NXDOMAIN  └─ veth ──── eth0 192.0.2.2   another engine, if the test starts one
//
// The engine is the first process of its PID namespace: when it is killed, all that it ever started dies with
// it. Its rules, bridges, sysctls and mounts are those of its own namespaces and vanish with them. What
// remains of it then is a directory and some control groups. A second process removes them, even if the test
// was killed.
//
// A task that needs a local image waits until the engine has failed to find it in a registry. So that this
// takes no time, the engine's resolver is one that knows no name. It is also what Docker's DNS server asks
// for a service without tasks, and answers as the Internet's would.
//
// The engine is this program, executed again: a test binary that starts one calls [Main] first thing in
// TestMain. It needs root and dockerd, containerd, runc, iptables and docker on PATH.
package engine
