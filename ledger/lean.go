package ledger

import (
	"context"
	"time"
)

// A lean is what a request takes for granted of the operator's book, where
// credentials are, because this node has seen it so. That saves a look before
// each command: the command itself is made durable only if it was so still
// (Batch.Guards).
type lean struct {
	check   func(context.Context) error
	used    bool
	seq     uint64 // of the operator's book when it was first read, if used
	slipped bool   // the command was not decided: the book is elsewhere now
	proved  bool   // that it was so, or the request looks from now on
	wrong   error  // it was not so, or nobody could find out
}

// leanPause is for how long requests look first after one was wrong to lean:
// where others write to the operator's book all the time, looking costs less.
const leanPause = 100 * time.Millisecond

// errSlipped is what a command is told that was not decided; its caller is not.
var errSlipped = Errorf(Contention, "what the request was begun with has changed; try again")

// Lean lets a request that is there to post one command read without looking at
// a shared store. Until it has posted, records of the operator's book that are
// there are read as this node has seen them last, and of holds only what never
// changes can be relied on; of accounts there is [Ledger.Fixed]. The command takes
// effect if the operator's book stands then as it was read. If not, check decides,
// given a context that looks, whether the request may go on; its error is Post's.
//
// What the request says without having posted has to be proved by [Ledger.Prove].
// The context is for one goroutine.
func (l *Ledger) Lean(ctx context.Context, check func(context.Context) error) context.Context {
	if l.shared == nil || int64(age()) < l.leanAgain.Load() {
		return ctx
	}
	f := freshnessOf(ctx)
	f.lean = &lean{check: check}
	return context.WithValue(ctx, lookKey{}, f)
}

// Shared reports whether others write to the store too.
func (l *Ledger) Shared() bool { return l.shared != nil }

// leanOf returns what a request leans on: nil when it never did.
func leanOf(ctx context.Context) *lean {
	f, _ := ctx.Value(lookKey{}).(freshness)
	return f.lean
}

// leans reports whether a request has not looked, and need not yet.
func (k *lean) leans() bool { return k != nil && !k.proved }

// leanOn reports whether a request takes for granted what is in memory of the
// operator's book.
func (l *Ledger) leanOn(k *lean) bool {
	if k.leans() && !k.used {
		if b := l.operator(); b != nil {
			k.seq = b.head.Load().Seq
			k.used = k.seq > 0
		}
	}
	return k.leans() && k.used
}

// operator returns the operator's book, or nil if it is not known yet.
func (l *Ledger) operator() *book {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.books[0]
}

// Prove makes sure that what a request has taken for granted was so when it
// began, or that it makes no difference. From then on it looks.
func (l *Ledger) Prove(ctx context.Context) error {
	k := leanOf(ctx)
	if !k.leans() {
		return k.error()
	}
	if k.proved = true; !k.used {
		return nil
	}
	b, err := l.book(ctx, 0)
	if err == nil {
		err = l.current(ctx, b)
	}
	if err == nil && b.head.Load().Seq != k.seq {
		err = k.check(ctx)
	}
	k.wrong = err
	return err
}

func (k *lean) error() error {
	if k == nil {
		return nil
	}
	return k.wrong
}

// postLeaning is Post for a request that leans.
func (l *Ledger) postLeaning(ctx context.Context, c *Command, k *lean) (Result, error) {
	res, err := l.post(ctx, c, k)
	switch {
	case k.proved:
		return res, err
	case !k.slipped && CodeOf(err) >= Busy: // which says nothing of who asks; and the command may have taken effect
		k.proved = true
		return res, err
	}
	if wrong := l.Prove(ctx); wrong != nil {
		return Result{}, wrong
	}
	if k.slipped {
		return l.post(ctx, c, nil)
	}
	return res, err
}

// stands reports whether a command may be decided in a round: what it leans on
// is as it was. The round will be appended next to that.
func (l *Ledger) stands(r *round, p *prepared) bool {
	if p.lean == nil || p.lean.proved {
		return true
	}
	if r.leaned == nil {
		r.leaned = l.operator()
	}
	if r.leaned == nil || r.leaned.head.Load().Seq != p.lean.seq {
		p.lean.slipped, p.err = true, errSlipped
		return false
	}
	return true
}

// prove notes in the commands of a round that was appended that what they leaned
// on was so, and reports whether any did. Only who has an event there can be sure
// of that: after a doubt the journal tells whose events it has.
func prove(waiting []*prepared) (proved bool) {
	for _, p := range waiting {
		if p.lean != nil && p.res.Event != nil && !p.res.Replayed {
			p.lean.proved, proved = true, true
		}
	}
	return proved
}

// slipped finds out after a conflict whether what the round leaned on has moved.
// Those who lean on that will not be decided again; the books that the round
// would have changed may well be as they were.
func (l *Ledger) slipped(ctx context.Context, leaned *book) error {
	if leaned == nil {
		return nil
	}
	began := age()
	tails, err := l.lookAt(ctx, []*book{leaned})
	if err != nil {
		return err
	}
	if tails[0].Seq > leaned.head.Load().Seq {
		l.leanAgain.Store(int64(age() + leanPause))
		for _, b := range l.tried {
			if !l.turns {
				b.contended = 0
			}
		}
	}
	if err := l.catchUp(ctx, &tails[0]); err != nil {
		return err
	}
	leaned.sawAt(int64(began))
	return nil
}
