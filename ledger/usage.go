package ledger

import (
	"context"
	"math"

	"saldo/money"
)

// A Day counts the days since 1970 in GMT.
type Day int32

// Day returns the day that a time is on.
func (t Time) Day() Day {
	const day = 24 * 60 * 60 * 1_000_000
	d := t / day
	if t%day < 0 {
		d--
	}
	return Day(d)
}

// Start returns the first moment of a day.
func (d Day) Start() Time { return Time(d) * 24 * 60 * 60 * 1_000_000 }

// The first and the last day that a [Query] can name.
const (
	FirstDay Day = math.MinInt32
	LastDay  Day = math.MaxInt32
)

// A Use is what one transfer says that an account has used.
type Use struct {
	Account AccountID // the sub-account that spent, or the one that paid
	Usage
	Price money.Amount // below zero: given back
}

// EachUse calls use with what the event's transfers say was used: charges and
// captures, and refunds of these. A capture for several payees has a price for
// each and is counted with the first; a charge that says no count counts as one.
// A refund gives back a price and no count: what was used was used. The Use is
// valid during the call.
func (e *Event) EachUse(use func(*Use)) {
	var u Use
	for i := range e.Transfers {
		p := &e.Transfers[i]
		u = Use{Account: p.From, Usage: p.Usage, Price: p.Amount}
		switch {
		case p.Kind == Charge:
			u.counts()
		case p.Kind == Capturing:
			if i == 0 || e.Transfers[i-1].Kind != Capturing || e.Transfers[i-1].Hold != p.Hold {
				u.counts()
			}
		case p.Kind == Refunding && (p.Back == Charge || p.Back == Capturing):
			u.Account = p.To
			u.Price, _ = p.Amount.Neg() // an amount that moved is within bounds
		default:
			continue
		}
		if !p.Via.IsZero() {
			u.Account = p.Via
		}
		if !u.Account.IsSystem() {
			use(&u)
		}
	}
}

func (u *Use) counts() {
	if u.Category != "" && u.Count.IsZero() {
		u.Count = money.New(1)
	}
}

// A UsageSum is what some uses came to.
type UsageSum struct {
	Price money.Amount
	Count money.Amount
	Unit  string // what Count counts; "": nobody said, or not all the same
	Mixed bool   // not all the same
}

// Sum returns the sum of one use.
func (u *Use) Sum() UsageSum { return UsageSum{Price: u.Price, Count: u.Count, Unit: u.Unit} }

// Add adds another sum. One that passes 127 bits stays there.
func (s *UsageSum) Add(o UsageSum) {
	s.Price, s.Count = clamped(s.Price, o.Price), clamped(s.Count, o.Count)
	switch {
	case s.Mixed || o.Mixed || s.Unit != "" && o.Unit != "" && s.Unit != o.Unit:
		s.Unit, s.Mixed = "", true
	case s.Unit == "":
		s.Unit = o.Unit
	}
}

func clamped(a, b money.Amount) money.Amount {
	sum, ok := a.Add(b)
	switch {
	case ok:
		return sum
	case a.Sign() < 0:
		return money.FromParts(math.MinInt64, 0)
	}
	return money.FromParts(math.MaxInt64, math.MaxUint64)
}

// A UsageRow is what an account, or those below it, used on a day.
type UsageRow struct {
	Day      Day
	Category string // "": all charges of the day, whatever their category
	UsageSum
}

// Categories returns in which rows of a day a use is: that of all, and that of
// its category if it has one.
func (u *Use) Categories() []string {
	if u.Category == "" {
		return allCategories[:1]
	}
	return []string{"", u.Category}
}

var allCategories = [...]string{""}

// Usage returns what an account used in a category, "" being all, from one day
// to another, both included; below adds what the accounts below it used, as far
// as they have the same unit.
func (l *Ledger) Usage(ctx context.Context, a *Account, below bool, category string, from, to Day) (UsageSum, error) {
	var sum UsageSum
	err := l.EachUsageDay(ctx, a, below, category, from, to, func(r *UsageRow) { sum.Add(r.UsageSum) })
	return sum, err
}

// EachUsageDay calls use with every row that [Ledger.Usage] would add up: those of
// the account first, then those of what is below it, each in order of day.
func (l *Ledger) EachUsageDay(ctx context.Context, a *Account, below bool, category string, from, to Day, use func(*UsageRow)) error {
	q := Query{List: ListUsage, Account: a.ID, Unit: a.Unit, Value: category, FromDay: from, ToDay: to}
	for _, q.Below = range sides(below) {
		for row, err := range l.Scan(ctx, q) {
			if err != nil {
				return err
			}
			use(row.Usage)
		}
	}
	return nil
}

// sides are which rows of an account are meant: its own, or also those of what
// is below it.
func sides(below bool) []bool {
	if below {
		return []bool{false, true}
	}
	return []bool{false}
}

// UsageCategories returns the categories after one, in order, that an account has
// used ever, or those below it: at most limit.
func (l *Ledger) UsageCategories(ctx context.Context, a *Account, below bool, after string, limit int) ([]string, error) {
	q := Query{List: ListCategories, Account: a.ID, Unit: a.Unit, From: after, Limit: limit}
	var lists [2][]string
	for i, below := range sides(below) {
		q.Below = below
		for row, err := range l.Scan(ctx, q) {
			if err != nil {
				return nil, err
			}
			lists[i] = append(lists[i], row.Usage.Category)
		}
	}
	own, under := lists[0], lists[1]
	var merged []string
	for len(merged) < limit && len(own)+len(under) > 0 {
		switch {
		case len(under) == 0 || len(own) > 0 && own[0] < under[0]:
			merged, own = append(merged, own[0]), own[1:]
		case len(own) == 0 || under[0] < own[0]:
			merged, under = append(merged, under[0]), under[1:]
		default:
			merged, own, under = append(merged, own[0]), own[1:], under[1:]
		}
	}
	return merged, nil
}
