// Package config reads haproxy.cfg: a lexer by HAProxy's rules of quoting, one table of directives, and
// a typed model in file order. Every error is located, and one run reports all of them.
//
// The package is pure: what it needs of the world comes through [LoadOptions], and it starts nothing.
// What HAProxy 3.2 has and waggle does not is an error, unless ignoring it changes nothing.
package config

//go:generate go run ./internal/compatdoc ../../docs/haproxy-compatibility.md
//go:generate go run ../cli/internal/manual cfg ../../docs/man/waggle.cfg.5
