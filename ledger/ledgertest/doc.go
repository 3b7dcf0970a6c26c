// Package ledgertest tests ledgers and their stores: a model of the rules that is
// slow and obvious, a random workload that both are given, and the suite that
// every store passes.
//
// The model says what the design says, and shares no code with what it tests. Of
// a command that is wrong in several ways it knows all of them, and takes any for
// an answer; it never takes one that is not true.
package ledgertest
