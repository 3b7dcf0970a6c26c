package ledgertest

import (
	"testing"
	"time"
)

func TestNeverTwice(t *testing.T) {
	l, closed := disk(t)(time.Now)
	defer closed() // which proves the books
	NeverTwice(t, l)
}

func TestLinearizable(t *testing.T) {
	l, closed := disk(t)(time.Now)
	defer closed()
	Linearizable(t, Seed(t), 40, l)
}
