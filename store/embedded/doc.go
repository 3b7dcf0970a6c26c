// Package embedded keeps a ledger's books in a directory of one machine: the
// journal, the state that it makes and the indexes that are derived from it, in
// Pebble (a log-structured merge tree). One process at a time has the directory.
//
// What always holds:
//
//   - [Store.Append] is one Pebble batch and one sync. It returns when the batch
//     is durable, and a batch is there as a whole or not at all.
//   - Readers see only what is durable. Pebble shows a batch before its sync
//     returns; so every read goes through the snapshot that was taken after the
//     last sync (view.go).
//   - Journal and state are written together. The indexes that serve lists
//     (statements, accounts of a tenant, holds of an account, search) follow
//     behind in a goroutine, each with a version and a watermark (index.go), and
//     can be rebuilt from the journal. A reader of such a list waits until the
//     index has what was durable when the reader came.
//   - A failed write ends the process: what a disk holds after a failed sync is
//     anyone's guess, and opening again finds out.
//
// The directory:
//
//	saldo.lock    held by the process that has the directory open
//	saldo.owner   that process: pid, start time, address (text)
//	FORMAT        "saldo 1"
//	books/        Pebble's files
//
// The keys are in keys.go, the values in rows.go.
package embedded
