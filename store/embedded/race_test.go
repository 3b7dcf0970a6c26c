//go:build race

package embedded

// raced: under the race detector all is ten times slower, and the same writes
// are cut off in the run without it.
const raced = true
