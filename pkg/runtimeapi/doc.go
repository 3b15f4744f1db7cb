// Package runtimeapi speaks HAProxy's Runtime API on the sockets of `stats socket` lines, so that
// scripts and tools made for HAProxy work (HAProxy's management manual, section 9.3).
//
// A client sends one line of commands, separated by semicolons, and is then cut off, unless it asked
// for a prompt. Every answer ends with an empty line; an answer of nothing else is a success.
package runtimeapi
