// Package bench measures a Saldo: over HTTP, beside the least that could answer
// the same bytes, and in process, beside Pebble writing the same keys and bytes.
//
// What always holds: a figure of Saldo stands beside one of a baseline that was
// measured in the same minute on the same machine, in turns, so that both suffer
// alike from whatever else happens there; medians are of whole runs; the load
// generator checks every answer, and one wrong answer ends the run.
package bench
