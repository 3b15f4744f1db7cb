// Package certs loads certificates and keys for TLS on both sides, chooses the one that a client's name asks for, and
// follows the files: when their content changes, new handshakes get the new certificates, and a change that cannot be
// loaded leaves the old ones in use.
package certs
