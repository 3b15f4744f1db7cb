// Package kernel runs tests of the kernel path on the oldest kernel that is supported, in a virtual machine:
// Debian's own kernel, an initial file system with the test binaries and an init of our own (package guest), and two
// serial ports, one for the kernel's messages and one for the results. Nothing else is emulated.
//
// This needs neither root nor KVM. Where KVM runs machines it is used; elsewhere they are emulated, with a clock that counts
// instructions.
//
// `make test-kernel` fetches what it needs and runs it.
package kernel
