// Package soak is the endurance test: the whole of waggle in a lab, both paths under mixed load, while tasks come, go and
// crash, configurations change, interfaces flap, the DNS server fails in every way it can, and clients misbehave, all at
// the same time. Every byte that comes back is compared. Afterwards the process must hold what it held before.
//
//	make soak                30 minutes
//	make soak SOAK_TIME=2h   longer
//	go test -v ./test/soak   one round of everything, which is a part of make test
//
// WAGGLE_TEST_SOAK is the time of the load, such as 30m; WAGGLE_TEST_SOAK_DOCS a directory in which reliability.md is
// written. A run that has failed names the seed of its acts: WAGGLE_TEST_SOAK_SEED has them come in the same order again.
package soak
