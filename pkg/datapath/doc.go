// Package datapath is the kernel path: it loads the program of bpf/ and attaches it to the network interfaces,
// keeps its maps equal to a desired state, collects flows that have ended, and reads its counters.
//
// The caller states what should be (Datapath.Sync); the package compares that with what the maps hold and makes
// them equal. Interfaces, addresses and routes that come and go are followed by themselves. A connection that the
// program does not take, for whatever reason, reaches the listening socket as if no program were there.
package datapath
