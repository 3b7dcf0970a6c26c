package ledger

import (
	"context"
	"time"
)

// OnDue says what to do when the deadline of a record of a kind has passed: act
// returns the command to post, or nil. It has to move or remove the deadline.
// Set it before anything is due.
func (l *Ledger) OnDue(kind string, act func(context.Context, *Record) (*Command, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acts == nil {
		l.acts = make(map[string]func(context.Context, *Record) (*Command, error))
	}
	l.acts[kind] = act
}

// watchRecords posts what is to be done about records whose deadline has passed.
func (l *Ledger) watchRecords(ctx context.Context) {
	defer l.running.Done()
	every := 200 * time.Millisecond
	if l.shared != nil {
		every = time.Second // a round trip each
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l.mu.RLock()
		n := len(l.acts)
		l.mu.RUnlock()
		if n == 0 {
			continue
		}
		if err := l.ActDue(ctx); err != nil && ctx.Err() == nil {
			l.o.Logger.Warn("what is due could not be done; it is tried again", "error", err)
		}
	}
}

// actAtOnce bounds the deadlines that ActDue looks at.
const actAtOnce = 1000

// ActDue does what is due about records now. Of more than 1,000 deadlines it
// looks at the first, and at the next ones the next time, so that none that
// nobody can do anything about stands before the others.
func (l *Ledger) ActDue(ctx context.Context) error {
	now, err := l.clock()
	if err != nil {
		return err
	}
	l.mu.Lock()
	from := l.actFrom
	l.mu.Unlock()
	var failed error
	looked, last := 0, ""
	books := make(map[BookID]bool) // that have holds which nobody ends
	for row, err := range l.store.Scan(ctx, Query{List: ListDeadlines, Until: now, From: from, Limit: actAtOnce}) {
		if err != nil {
			return err
		}
		looked, last = looked+1, row.Key
		if l.shared != nil && !row.Due.Hold.IsZero() && row.Due.At < now.Add(-time.Second) {
			books[row.Due.Book] = true
		}
		if err := l.actOn(ctx, &row.Due); err != nil {
			failed = err
		}
	}
	if looked < actAtOnce {
		last = "" // that was all
	}
	if err := l.lookAtAll(ctx, books); err != nil {
		failed = err
	}
	l.mu.Lock()
	l.actFrom = last
	l.mu.Unlock()
	return failed
}

// actOn does what is to be done about a record, if that is still due.
func (l *Ledger) actOn(ctx context.Context, due *Deadline) error {
	l.mu.RLock()
	act := l.acts[due.Record.Kind]
	l.mu.RUnlock()
	if !due.Hold.IsZero() || act == nil {
		return nil
	}
	rec, err := l.Record(ctx, due.Record)
	if err != nil || rec == nil || rec.Deadline != due.At {
		return err
	}
	c, err := act(ctx, rec)
	if err == nil && c != nil {
		_, err = l.Post(ctx, c)
	}
	return err
}
