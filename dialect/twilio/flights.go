package twilio

import (
	"strconv"
	"sync"

	"saldo/ledger"
)

// flights counts the requests that this server is answering, by account. It
// keeps nothing of an account that has none.
type flights [64]struct {
	mu sync.Mutex
	n  map[ledger.AccountID]int
	_  [48]byte // a cache line each
}

// enter counts one more and returns how many there are with it.
func (f *flights) enter(id ledger.AccountID) int {
	s := &f[id[15]%byte(len(f))]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == nil {
		s.n = make(map[ledger.AccountID]int)
	}
	s.n[id]++
	return s.n[id]
}

// leave counts one less.
func (f *flights) leave(id ledger.AccountID) {
	s := &f[id[15]%byte(len(f))]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n[id]--; s.n[id] == 0 {
		delete(s.n, id)
	}
}

// counts are the values of the header for small counts.
var counts = func() (values [64][]string) {
	for i := range values {
		values[i] = []string{strconv.Itoa(i)}
	}
	return values
}()
