// Package sample evaluates what an HAProxy configuration asks about a request: sample fetches,
// converters, ACL conditions and log-format strings.
//
// Expressions are compiled once, when the configuration is read, and evaluated on event loops without
// allocating. The package knows nothing of sockets or parsers: a data path offers what it knows as a
// [Subject].
package sample
