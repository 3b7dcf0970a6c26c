package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/store/embedded"
	"saldo/store/embedded/crashfs"
)

// An answered command, and what it was answered.
type answered struct {
	c   *ledger.Command
	res ledger.Result
	err error
}

// life is a small life of a ledger: it opens a store, posts the commands of a
// workload, one after the other, and closes it. It is the same each time.
type life struct {
	fs   *crashfs.FS
	now  atomic.Int64
	done []answered // before the power was cut
	next *ledger.Command
	err  error
}

func (l *life) clock() time.Time { return ledger.Time(l.now.Load()).Std() }

func openOn(fs *crashfs.FS, now func() time.Time) (*embedded.Store, *ledger.Ledger, error) {
	store, err := embedded.Open("data", embedded.Options{FS: fs, DiskReserve: -1, CacheBytes: 1 << 20, MemTableBytes: 256 << 10, Fatal: func(error) {}})
	if err != nil {
		return nil, nil, err
	}
	l, err := ledger.Open(context.Background(), store, ledger.Options{Now: now, MaxClockStep: -1})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return store, l, nil
}

func (l *life) live(commands int) {
	w := NewWorkload(3)
	l.now.Store(int64(ledger.TimeOf(w.Now())))
	store, led, err := openOn(l.fs, l.clock)
	if err != nil {
		l.err = err
		return
	}
	cmds := w.Setup()
	for n := range commands {
		c := (*ledger.Command)(nil)
		switch {
		case n < len(cmds):
			c = cmds[n]
		case n == commands/2: // something that the store does in the background
			c = &ledger.Command{Tenant: 1, Book: 1, ID: "erase", Ops: []ledger.Op{&ledger.Erase{Account: w.Accounts(1)[0]}}}
		default:
			c = w.Next()
			l.now.Store(int64(ledger.TimeOf(w.Now())))
		}
		if !l.fs.IsStopped() {
			l.next = c
		}
		asked := Clone(c)
		res, err := led.Post(context.Background(), c)
		if err == nil {
			w.Learn(res.Book, res.Event)
		}
		if !l.fs.IsStopped() {
			l.done = append(l.done, answered{asked, res, err})
		}
	}
	l.err = errors.Join(led.Close(), store.Close())
}

// TestPowerCut cuts the power at every write and sync of a ledger's life, and
// opens what the disk then holds: every answer is kept, and of what was not
// answered there is all or nothing. CRASH_STRIDE looks at every so many only.
func TestPowerCut(t *testing.T) {
	const commands = 200
	whole := &life{fs: crashfs.New()}
	whole.live(commands)
	if whole.err != nil {
		t.Fatal(whole.err)
	}
	total, stride := whole.fs.Ops(), 1
	if raceEnabled {
		stride = 7 // the race detector makes it ten times as slow, and sees the same each time
	}
	if testing.Short() {
		stride = 41
	}
	if s := os.Getenv("CRASH_STRIDE"); s != "" {
		var err error
		if stride, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	cuts := 0
	for n := 1; n <= total; n += stride {
		l := &life{fs: crashfs.New()}
		l.fs.StopAt(n)
		ended := make(chan struct{})
		go func() { l.live(commands); close(ended) }()
		var left []*crashfs.FS
		select {
		case <-l.fs.Stopped():
			for seed := range uint64(3) {
				left = append(left, l.fs.Crash(seed))
			}
		case <-ended: // background work is not the same each time
		}
		l.fs.Resume()
		<-ended
		if l.err != nil {
			t.Fatal(l.err)
		}
		for seed, fs := range left {
			cuts++
			if err := l.check(fs); err != nil {
				t.Fatalf("the power was cut at operation %d of %d, seed %d: %v", n, total, seed, err)
			}
		}
	}
	t.Logf("%d operations, %d cuts", total, cuts)
}

// check opens what is left and compares it with what was answered.
func (l *life) check(fs *crashfs.FS) (err error) {
	ctx := context.Background()
	store, err := embedded.Open("data", embedded.Options{FS: fs, DiskReserve: -1, CacheBytes: 1 << 20})
	if err != nil {
		return err
	}
	// Every row, sum, id and hash, compared with the journal folded again.
	report, err := ledger.Verify(ctx, store, ledger.VerifyOptions{})
	if err == nil {
		err = l.only(ctx, store, report)
	}
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	store, led, err := openOn(fs, l.clock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, led.Close(), store.Close()) }()
	for _, a := range l.done {
		if err := a.check(ctx, led); err != nil {
			return fmt.Errorf("%s: %w", Describe(a.c), err)
		}
	}
	// Whatever became of the command that was cut short: it can be asked again.
	if c := l.next; c != nil && c.ID != "" {
		var refusal *ledger.Error
		if _, err := led.Post(ctx, Clone(c)); err != nil && !errors.As(err, &refusal) {
			return err
		}
	}
	if len(report.Heads) == 0 {
		return nil
	}
	_, err = led.Post(ctx, &ledger.Command{Tenant: report.Heads[0].Tenant, Book: report.Heads[0].Book, ID: "after", Ops: []ledger.Op{&ledger.AddUnit{Unit: workloadUnits[0]}}})
	return err
}

// only wants no more events than were answered, but for that of the command
// that was cut short, and the ends of holds that were due before it.
func (l *life) only(ctx context.Context, store ledger.Store, report ledger.Report) error {
	last := map[ledger.BookID]uint64{}
	for _, a := range l.done {
		if a.res.Event != nil {
			last[a.res.Book] = max(last[a.res.Book], a.res.Event.Seq)
		}
	}
	more := 0
	for _, h := range report.Heads {
		if h.Seq < last[h.Book] {
			return fmt.Errorf("book %d ends at event %d; event %d was answered", h.Book, h.Seq, last[h.Book])
		}
		for row, err := range store.Scan(ctx, ledger.Query{List: ledger.ListEvents, Book: h.Book, After: last[h.Book]}) {
			if err != nil {
				return err
			}
			e := row.Event
			if e.ID == "" && len(e.Holds) > 0 && e.Holds[0].Act == ledger.HoldLapsed {
				continue
			}
			if more++; more > 1 || h.Book != l.next.Book || e.ID != l.next.ID {
				return fmt.Errorf("book %d, event %d was neither answered nor asked for last: %+v", h.Book, e.Seq, e)
			}
		}
		delete(last, h.Book)
	}
	if len(last) > 0 {
		return fmt.Errorf("books are gone: %v", last)
	}
	return nil
}

// check wants an answered command's event in the journal, and its answer again.
func (a *answered) check(ctx context.Context, led *ledger.Ledger) error {
	if a.res.Event == nil {
		return nil // a refusal that nobody remembers
	}
	want := *a.res.Event
	want.Beside = nil
	got, err := led.Event(ctx, a.res.Book, want.Seq)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(*got, want) {
		return fmt.Errorf("the journal has %+v, it was answered %+v", got, want)
	}
	if a.c.ID == "" {
		return nil
	}
	again, err := led.Post(ctx, Clone(a.c))
	if !again.Replayed || ledger.CodeOf(err) != ledger.CodeOf(a.err) {
		return fmt.Errorf("asked again: %+v, %v; at first %v", again, err, a.err)
	}
	if !reflect.DeepEqual(*again.Event, want) {
		return fmt.Errorf("asked again: %+v, it was answered %+v", again.Event, want)
	}
	for _, after := range want.Touched {
		b, err := led.After(ctx, again.Book, again.Event, after.Account)
		if err != nil {
			return err
		}
		if b.Account.Posted != after.Posted || b.Held != after.Held {
			return fmt.Errorf("account %v had %v posted, %v held after it, and now %v, %v", after.Account, after.Posted, after.Held, b.Posted, b.Held)
		}
	}
	return nil
}
