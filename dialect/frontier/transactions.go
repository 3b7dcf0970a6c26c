package frontier

import (
	"math"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/types/known/timestamppb"

	"saldo/auth"
	frontierv1beta1 "saldo/dialect/frontier/proto/raystack/frontier/v1beta1"
	"saldo/ledger"
	"saldo/money"
)

type (
	transaction         = frontierv1beta1.BillingTransaction
	transactionsRequest = frontierv1beta1.ListBillingTransactionsRequest
	transactionsReply   = frontierv1beta1.ListBillingTransactionsResponse
	totalRequest        = frontierv1beta1.TotalDebitedTransactionsRequest
	totalReply          = frontierv1beta1.TotalDebitedTransactionsResponse
	entitlementRequest  = frontierv1beta1.CheckCreditEntitlementRequest
	entitlementReply    = frontierv1beta1.CheckCreditEntitlementResponse
)

// Sources of credits, as Frontier has them: paid for, and given.
const (
	buySource     = "system.buy"
	awardedSource = "system.awarded"
)

func checkTransactions(in *transactionsRequest) error {
	if err := mayUUID(in, in.BillingId, "billing_id"); err != nil || in.BillingId != "" {
		return err
	}
	return needOrg(in, in.OrgId, "org_id")
}

// listBillingTransactions lists what went into an account and out of it, newest
// first, with both ends of the range.
func listBillingTransactions(q *request, in *transactionsRequest) (*transactionsReply, error) {
	a, err := q.account(auth.Read, in.OrgId, in.BillingId)
	if err != nil {
		return nil, err
	}
	l := lister{q: q, account: a}
	if l.unit, err = q.s.ledger.UnitOf(q.ctx, a); err != nil {
		return nil, err
	}
	if l.id, err = q.shownAccount(a); err != nil {
		return nil, err
	}
	if slices.Contains(in.Expand, "customer") {
		if l.customer, err = q.billingAccount(a); err != nil {
			return nil, err
		}
	}
	from := in.Since
	if in.StartRange != nil {
		from = in.StartRange
	}
	out := new(transactionsReply)
	rows := q.rows(out)
	err = q.postings(a, timeOf(from), timeOf(in.EndRange), func(e *ledger.Event, n int) error {
		t, err := l.transaction(e, n)
		if err == nil {
			err = rows.add(t)
		}
		return err
	})
	if err == nil {
		err = rows.end()
	}
	if err != nil {
		return nil, rows.broken(err)
	}
	return out, nil
}

// timeOf returns a time of a request; 0: there is none.
func timeOf(t *timestamppb.Timestamp) ledger.Time {
	if t == nil {
		return 0
	}
	return min(max(ledger.TimeOf(t.AsTime()), 1), ledger.MaxTime)
}

// postings calls yield with every transfer of an account, newest first, that was
// made in a time with both ends; 0: open. N is its number in the event.
func (q *request) postings(a *ledger.Account, from, to ledger.Time, yield func(e *ledger.Event, n int) error) error {
	query := ledger.Query{List: ledger.ListStatement, Book: a.Book, Account: a.ID, Reverse: true}
	if to != 0 {
		seq, err := q.s.ledger.SeqAt(q.ctx, a.Book, to)
		if err != nil {
			return err
		}
		query.After = seq + 1
	}
	for row, err := range q.s.ledger.Scan(q.ctx, query) {
		if err != nil {
			return err
		}
		if row.Event.Time < from {
			return nil
		}
		for n := len(row.Event.Transfers) - 1; n >= 0; n-- {
			if p := &row.Event.Transfers[n]; p.From != a.ID && p.To != a.ID {
				continue
			}
			if err := yield(row.Event, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// A lister makes transactions of an account's transfers.
type lister struct {
	q        *request
	account  *ledger.Account
	unit     money.Unit
	id       string // of the account, as it is shown
	customer *pbAccount
}

// transaction returns a transfer as its account sees it. Its amount is in whole
// credits, rounded so that the list never adds up to more than there is.
func (l *lister) transaction(e *ledger.Event, n int) (*transaction, error) {
	p := &e.Transfers[n]
	effect := p.Amount
	t := &transaction{Id: e.TransferID(n), CustomerId: l.id, Type: credit, Customer: l.customer, CreatedAt: timestamppb.New(e.Time.Std())}
	t.UpdatedAt = t.CreatedAt
	if p.From == l.account.ID {
		t.Type = debit
		effect, _ = effect.Neg()
	}
	shown, err := wholeCredits(effect, l.unit)
	if err != nil {
		return nil, err
	}
	if t.Amount = shown; t.Type == debit {
		if t.Amount = -shown; t.Amount < 0 {
			return nil, tooLarge // the one number that has no opposite
		}
	}
	text, err := l.q.note(l.account.Book, e, p)
	if err != nil {
		return nil, err
	}
	t.Description, t.UserId = text.Reason, text.Frontier.UserID
	t.Metadata = metadataOf(text.Metadata)
	if t.Source = text.Frontier.Source; t.Source == "" {
		t.Source, err = l.source(p)
	}
	return t, err
}

// source returns the source of a transfer that does not say it.
func (l *lister) source(p *ledger.Posting) (string, error) {
	switch {
	case p.Kind == ledger.TopUp:
		return buySource, nil
	case p.Kind == ledger.Adjustment && p.To == l.account.ID:
		return awardedSource, nil
	case p.Kind == ledger.Refunding && p.Of != nil:
		past, err := l.q.s.ledger.Event(l.q.ctx, p.Of.Book, p.Of.Seq)
		if err != nil {
			return "", err
		}
		was := &past.Transfers[p.Of.N]
		text, err := l.q.note(p.Of.Book, past, was)
		source := text.Frontier.Source
		if err == nil && source == "" {
			source, err = l.source(was)
		}
		return revertSource + "." + source, err
	case p.Usage.Category != "":
		return strings.ToLower(p.Usage.Category), nil
	}
	return systemSource, nil
}

func checkTotal(in *totalRequest) error {
	if err := mayUUID(in, in.BillingId, "billing_id"); err != nil || in.BillingId != "" {
		return err
	}
	return needOrg(in, in.OrgId, "org_id")
}

// totalDebitedTransactions sums what was taken from an account and was not
// given back: in whole credits, rounded up.
func totalDebitedTransactions(q *request, in *totalRequest) (*totalReply, error) {
	a, err := q.account(auth.Read, in.OrgId, in.BillingId)
	if err != nil {
		return nil, err
	}
	unit, err := q.s.ledger.UnitOf(q.ctx, a)
	if err != nil {
		return nil, err
	}
	sum, err := q.debited(a)
	if err != nil {
		return nil, err
	}
	shown, err := wholeCredits(sum, unit)
	if err == nil && shown == math.MinInt64 {
		err = tooLarge
	}
	return &totalReply{Debited: &frontierv1beta1.BillingAccount_Balance{Amount: -shown, Currency: currency}}, err
}

// A total is what was debited from an account by an event, below zero. The
// journal never changes, so nor does it.
type total struct {
	seq uint64
	sum money.Amount
}

// totals are those that were asked for last.
type totals struct {
	mu  sync.Mutex
	all map[ledger.AccountID]total
}

// maxTotals is how many totals are kept.
const maxTotals = 16 << 10

func (t *totals) get(id ledger.AccountID) total {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[id]
}

func (t *totals) put(id ledger.AccountID, now total) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil || len(t.all) >= maxTotals {
		t.all = make(map[ledger.AccountID]total)
	}
	if t.all[id].seq < now.seq {
		t.all[id] = now
	}
}

// debited returns minus what was taken from an account and was not given back:
// what was known, and what came after.
func (q *request) debited(a *ledger.Account) (money.Amount, error) {
	t := q.s.totals.get(a.ID)
	for row, err := range q.s.ledger.Scan(q.ctx, ledger.Query{List: ledger.ListStatement, Book: a.Book, Account: a.ID, After: t.seq}) {
		if err != nil {
			return t.sum, err
		}
		ok := true
		for n := range row.Event.Transfers {
			switch p := &row.Event.Transfers[n]; {
			case !ok:
			case p.From == a.ID:
				t.sum, ok = t.sum.Sub(p.Amount)
			case p.To == a.ID && p.Kind == ledger.Refunding:
				t.sum, ok = t.sum.Add(p.Amount)
			}
		}
		if !ok {
			return t.sum, tooLarge
		}
		t.seq = row.Event.Seq
	}
	q.s.totals.put(a.ID, t)
	return t.sum, nil
}

func checkEntitlement(in *entitlementRequest) error {
	if err := needOrg(in, in.OrgId, "org_id"); err != nil {
		return err
	}
	return needAmount(in, in.Amount, "amount")
}

// checkCreditEntitlement says whether an organization's account could pay an
// amount now.
func checkCreditEntitlement(q *request, in *entitlementRequest) (*entitlementReply, error) {
	a, err := q.orgAccount(auth.Read, in.OrgId)
	if err != nil {
		return nil, err
	}
	b, err := q.s.ledger.Balance(q.ctx, a.ID)
	if err != nil {
		return nil, err
	}
	amount, err := whole(in.Amount, b.Unit)
	if err != nil {
		return nil, err
	}
	return &entitlementReply{Status: !b.Spendable.Less(amount)}, nil
}
