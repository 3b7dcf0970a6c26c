// Package postgres keeps a ledger's books in PostgreSQL, or an engine that
// speaks its protocol, for any number of nodes at once. It implements
// [ledger.SharedStore].
//
// What always holds:
//
//   - Append is one transaction in one round trip. Its first statement moves the
//     heads of the books from where this node saw them; where one is elsewhere
//     the statement fails, and everything with it. An id is a primary key.
//   - An append whose outcome is not known (the connection was lost after COMMIT
//     was sent) is made again, under the same condition, until it is known: if
//     it conflicts then, the journal says whose events those are (append.go).
//   - Journal, state and indexes are written in one transaction, so there is
//     nothing to catch up with and nothing to rebuild.
//   - No leader, no lease, no clock of a node decides anything. The time is the
//     database's, taken in round trips that are made anyway (clock.go).
//
// On the path of commands there are no advisory locks, LISTEN, sequences or
// functions of our own: only what PostgreSQL 15 and later, CockroachDB,
// YugabyteDB and Citus share. The tables are in migrations/.
package postgres
