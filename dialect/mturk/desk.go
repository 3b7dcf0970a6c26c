package mturk

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"saldo/ledger"
)

// DeskOptions are the rules that an operator may choose. The zero value is the
// service's own.
type DeskOptions struct {
	Logger *slog.Logger
	Fees   *Fees // nil: StandardFees
	// Currency is the code of the unit that requesters' accounts are in, which has
	// at least two decimals: USD. The API of 2017 does not name one.
	Currency string
	// TokenLife is how long a UniqueRequestToken is remembered: 24 h, or for
	// ever if negative.
	TokenLife time.Duration
	// KeepFor is how long after it became reviewable a HIT is disposed of: 120 days.
	KeepFor time.Duration
}

// A Desk is where requesters' HITs are kept, on a ledger: the rules of both
// generations of this API. What is due (a HIT expires, work is approved because
// nobody said otherwise) is done while there is a desk, whoever asks or not; and
// whoever looks sees it done.
type Desk struct {
	l    *ledger.Ledger
	o    DeskOptions
	fees Fees

	next atomic.Int64 // nothing of ours is due before
	mark struct {
		sync.Mutex
		fresh ledger.Time // the earliest deadline that was written since a scan began
	}
	scan sync.Mutex // one scan at a time
}

// NewDesk returns the desk of a ledger. There is one for each ledger.
func NewDesk(l *ledger.Ledger, o DeskOptions) *Desk {
	d := &Desk{l: l, o: o, fees: StandardFees}
	if o.Fees != nil {
		d.fees = *o.Fees
	}
	if o.Currency == "" {
		d.o.Currency = dollars
	}
	if o.Logger == nil {
		d.o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.TokenLife == 0 {
		d.o.TokenLife = 24 * time.Hour
	}
	if o.KeepFor == 0 {
		d.o.KeepFor = 120 * 24 * time.Hour
	}
	for _, kind := range []string{kindHIT, kindAssignment, kindToken} {
		l.OnDue(kind, func(ctx context.Context, rec *ledger.Record) (*ledger.Command, error) {
			return nil, d.act(ctx, rec)
		})
	}
	return d
}

// Currency is the code of the unit that requesters' accounts are in.
func (d *Desk) Currency() string { return d.o.Currency }

// The kinds of records, and what they are keyed by.
const (
	kindType       = "mturk.type"       // HITTypeId
	kindHIT        = "mturk.hit"        // HITId: what changes
	kindContent    = "mturk.content"    // HITId: what does not, if there is any
	kindAssignment = "mturk.assignment" // AssignmentId
	kindAnswer     = "mturk.answer"     // AssignmentId
	kindBonus      = "mturk.bonus"      // an id of its own
	kindToken      = "mturk.token"      // hash of account, operation and token
	kindWorker     = "mturk.worker"     // WorkerId
	kindRequester  = "mturk.requester"  // account: counters
)

// The indexes of records. Entries of one value sort by the records' keys.
const (
	indexRequester = "requester"   // of HITs that are not disposed of: account
	indexReview    = "review"      // of those to be reviewed: V or G, and account
	indexReviewOf  = "review-type" // the same, and HITTypeId
	indexHIT       = "hit"         // of submitted assignments, and of bonuses: HITId
	indexStatus    = "status"      // of those of HITs that were not created with few: HITId/A, /R or /S
	indexWork      = "work"        // of assignments: HITId/WorkerId
	indexOf        = "assignment"  // of bonuses: AssignmentId
)

const (
	scanAhead = time.Second
	// maxTries bounds how often a command is made anew because others changed
	// the same HIT first.
	maxTries  = 100
	dueAtOnce = 1000
	// postponed is when to try again what is due and cannot be done: an account
	// was closed, say.
	postponed = time.Hour
)

// settle does what is due by now, and returns the time that it looked at. What
// cannot be done stays as it is.
func (d *Desk) settle(ctx context.Context) (ledger.Time, error) {
	for {
		now, err := d.l.Now()
		if err != nil || int64(now) < d.next.Load() {
			return now, err
		}
		if err := d.catchUp(ctx); err != nil {
			return now, err
		}
	}
}

// catchUp does what is due, in order of time.
func (d *Desk) catchUp(ctx context.Context) error {
	d.scan.Lock()
	defer d.scan.Unlock()
	now, err := d.l.Now()
	if err != nil || int64(now) < d.next.Load() { // another has done it
		return err
	}
	for {
		d.mark.Lock()
		d.mark.fresh = math.MaxInt64
		d.mark.Unlock()
		due, next, err := d.due(ctx, now)
		if err != nil {
			return err
		}
		failed := false
		for _, key := range due {
			rec, err := d.l.Record(ctx, key)
			if err == nil && rec != nil && rec.Deadline != 0 && rec.Deadline <= now {
				err = d.act(ctx, rec)
			}
			if err != nil {
				if ctx.Err() != nil {
					return err
				}
				failed = true
				d.o.Logger.Warn("what is due could not be done; it is tried again", "record", key.Kind, "error", err)
			}
		}
		if failed {
			next = min(next, now.Add(100*time.Millisecond))
		} else if len(due) > 0 {
			continue // until a look finds nothing
		}
		d.mark.Lock()
		d.next.Store(int64(min(next, d.mark.fresh)))
		d.mark.Unlock()
		return nil
	}
}

// due returns the records of ours whose deadline has passed, and when the next
// one does, if that is soon.
func (d *Desk) due(ctx context.Context, now ledger.Time) (due []ledger.RecordKey, next ledger.Time, err error) {
	next = now.Add(scanAhead)
	for row, err := range d.l.Scan(ctx, ledger.Query{List: ledger.ListDeadlines, Until: next}) {
		if err != nil {
			return nil, 0, err
		}
		if !row.Due.Hold.IsZero() || !acted(row.Due.Record.Kind) {
			continue
		}
		if row.Due.At > now {
			return due, row.Due.At, nil
		}
		if due = append(due, row.Due.Record); len(due) == dueAtOnce {
			return due, now, nil
		}
	}
	return due, next, nil
}

func acted(kind string) bool {
	return kind == kindHIT || kind == kindAssignment || kind == kindToken
}

// expect notes deadlines that are going to be written, or were.
func (d *Desk) expect(records []ledger.RecordWrite) {
	for i := range records {
		at := records[i].Deadline
		if at == 0 {
			continue
		}
		d.mark.Lock()
		d.mark.fresh = min(d.mark.fresh, at)
		if int64(at) < d.next.Load() {
			d.next.Store(int64(at))
		}
		d.mark.Unlock()
	}
}

// act does what is to be done about a record whose deadline has passed.
func (d *Desk) act(ctx context.Context, rec *ledger.Record) error {
	var err error
	switch rec.Kind {
	case kindHIT:
		err = d.hitDue(ctx, rec)
	case kindAssignment:
		err = d.assignmentDue(ctx, rec)
	case kindToken:
		err = d.forget(ctx, rec)
	}
	var refused *Refused
	if code := ledger.CodeOf(err); errors.As(err, &refused) || err != nil && !code.Retryable() && code != ledger.Internal {
		d.o.Logger.Error("what is due cannot be done; it is tried again in an hour", "record", rec.Kind, "key", rec.Key, "error", err)
		return d.postpone(ctx, rec)
	}
	return err
}

// postpone gives a record a later deadline and leaves it as it is.
func (d *Desk) postpone(ctx context.Context, rec *ledger.Record) error {
	tenant, err := d.tenant(ctx, rec.Book)
	if err != nil {
		return err
	}
	now, err := d.l.Now()
	if err != nil {
		return err
	}
	w := ledger.RecordWrite{Kind: rec.Kind, Key: rec.Key, Expect: rec.Version, Data: rec.Data, Index: rec.Index, Deadline: now.Add(postponed)}
	return d.write(ctx, &ledger.Command{Tenant: tenant, Book: rec.Book, Records: []ledger.RecordWrite{w}})
}

// forget removes a token whose time is over.
func (d *Desk) forget(ctx context.Context, rec *ledger.Record) error {
	tenant, err := d.tenant(ctx, rec.Book)
	if err != nil {
		return err
	}
	w := ledger.RecordWrite{Kind: rec.Kind, Key: rec.Key, Expect: rec.Version, Delete: true}
	return d.write(ctx, &ledger.Command{Tenant: tenant, Book: rec.Book, Records: []ledger.RecordWrite{w}})
}

// write posts a command that others may have made unnecessary.
func (d *Desk) write(ctx context.Context, c *ledger.Command) error {
	_, err := d.l.Post(ctx, c)
	if code := ledger.CodeOf(err); code == ledger.Changed || code == ledger.NotFound {
		return nil
	}
	return err
}

func (d *Desk) tenant(ctx context.Context, book ledger.BookID) (ledger.TenantID, error) {
	head, err := d.l.Head(ctx, book)
	return head.Tenant, err
}
