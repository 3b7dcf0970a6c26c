package mturk

import (
	"context"
	"unicode/utf8"

	"saldo/ledger"
)

// An AssignmentStatus is where a worker's work on a HIT is. Requesters see it
// once it is submitted.
type AssignmentStatus uint8

const (
	Accepted AssignmentStatus = 1 + iota
	Submitted
	Approved
	Rejected
)

var assignmentStatuses = [...]string{"", "Accepted", "Submitted", "Approved", "Rejected"}

func (s AssignmentStatus) String() string { return assignmentStatuses[s] }

// An Assignment is a worker's work on a HIT. Times are 0 for what has not been.
type Assignment struct {
	ID, WorkerID, HITID string
	Status              AssignmentStatus
	Accepted, Submitted ledger.Time
	AutoApproval        ledger.Time // when it is approved, if nobody says otherwise
	Approved, Rejected  ledger.Time
	Deadline            ledger.Time // for submitting
	Answer              string      // XML
	Feedback            string
	WorkerAccount       ledger.AccountID
}

// An assignment is the record of one.
type assignment struct {
	id                   string
	version              uint64
	hit                  string
	worker               string
	account              ledger.AccountID // the worker's
	status               AssignmentStatus
	accepted, deadline   ledger.Time
	submitted, auto      ledger.Time
	approvedAt, rejected ledger.Time
	feedback             string
	answer               bool        // there is a record of it
	act                  ledger.Time // the record's deadline: of what is due, or when that is tried again
}

func (a *assignment) pack() []byte {
	p := pack(192)
	p.text(a.hit)
	p.text(a.worker)
	p.account(a.account)
	p.int(int64(a.status))
	for _, t := range [...]ledger.Time{a.accepted, a.deadline, a.submitted, a.auto, a.approvedAt, a.rejected} {
		p.time(t)
	}
	p.text(a.feedback)
	p.bool(a.answer)
	return p
}

func unpackAssignment(id string, version uint64, data []byte) (*assignment, error) {
	u := unpack(data)
	a := &assignment{id: id, version: version, hit: u.text(), worker: u.text(), account: u.account(), status: AssignmentStatus(u.int())}
	for _, t := range [...]*ledger.Time{&a.accepted, &a.deadline, &a.submitted, &a.auto, &a.approvedAt, &a.rejected} {
		*t = u.time()
	}
	a.feedback, a.answer = u.text(), u.bool()
	if a.status < Accepted || a.status > Rejected {
		u.fail()
	}
	return a, u.err()
}

// due is when something is to be done about it: it was not submitted in time, or
// nobody has reviewed it.
func (a *assignment) due() ledger.Time {
	switch a.status {
	case Accepted:
		return a.deadline
	case Submitted:
		return a.auto
	}
	return 0
}

// index returns what work on a HIT is found by.
func (a *assignment) index(h *hit) []ledger.IndexEntry {
	work := ledger.IndexEntry{Name: indexWork, Value: a.hit + "/" + a.worker}
	if a.status == Accepted {
		return []ledger.IndexEntry{work}
	}
	of := ledger.IndexEntry{Name: indexHIT, Value: a.hit}
	if h.few() {
		return []ledger.IndexEntry{of, work}
	}
	return []ledger.IndexEntry{of, {Name: indexStatus, Value: statusIndex(a.hit, a.status)}, work}
}

// few reports whether work of one status is looked for among all work on the HIT,
// which saves an entry that would change with every review.
func (h *hit) few() bool { return h.first < fewAssignments }

// fewAssignments is how many a HIT has to be created with to cost more each
// ([StandardFees]): with fewer it never comes to as many.
const fewAssignments = 10

func statusIndex(hit string, s AssignmentStatus) string { return hit + "/" + s.String()[:1] }

// work adds the writing of an assignment.
func (c *change) work(a *assignment, h *hit) {
	c.write(ledger.RecordWrite{Kind: kindAssignment, Key: a.id, Expect: a.version, Fresh: a.version == 0, Cold: a.due() == 0,
		Data: a.pack(), Index: a.index(h), Deadline: a.due()})
}

// assignment returns the record of an assignment of the book, or nil.
func (r *Requester) assignment(ctx context.Context, id string) (*assignment, error) {
	rec, err := r.record(ctx, kindAssignment, id)
	if err != nil || rec == nil {
		return nil, err
	}
	a, err := unpackAssignment(id, rec.Version, rec.Data)
	if err == nil {
		a.act = rec.Deadline
	}
	return a, err
}

// submission returns an assignment that was submitted for a HIT of the
// requester, and the HIT. To a requester others do not exist.
func (r *Requester) submission(ctx context.Context, id string) (*assignment, *hit, error) {
	a, err := r.assignment(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if a == nil || a.status == Accepted {
		return nil, nil, noAssignment(id)
	}
	rec, err := r.record(ctx, kindHIT, a.hit)
	if err != nil {
		return nil, nil, err
	}
	if rec == nil {
		return nil, nil, noAssignment(id)
	}
	h, err := unpackHIT(a.hit, rec.Version, rec.Data)
	if err == nil && h.account != r.Account {
		return nil, nil, noAssignment(id)
	}
	return a, h, err
}

// review posts what a requester says about work.
func (r *Requester) review(ctx context.Context, verb, id, feedback string, edit func(c *change, a *assignment, h *hit) error) error {
	if err := checkFeedback(feedback); err != nil {
		return err
	}
	_, err := r.post(ctx, func(c *change) error {
		a, h, err := r.submission(ctx, id)
		if err != nil {
			return err
		}
		if a.act != 0 && a.act <= c.now {
			return errOverdue()
		}
		c.named(verb, id, a.version)
		a.feedback = feedback
		return edit(c, a, h)
	})
	return err
}

// checkFeedback refuses what the service did, control characters among it.
func checkFeedback(s string) error {
	if utf8.RuneCountInString(s) > maxFeedback {
		return notValid("RequesterFeedback", clip(s))
	}
	for _, c := range s {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return &Refused{Code: codeInvalidParameter, Text: "RequesterFeedback has control characters, which are not allowed."}
		}
	}
	return nil
}

// Approve pays for work: its reward to the worker, its fee to the service, out
// of what is on hold for the HIT. With override it pays for work that was
// rejected, too, for 30 days after it was submitted and while the HIT is not
// disposed of; that is a payment of its own, for which there may be no money.
func (r *Requester) Approve(ctx context.Context, id, feedback string, override bool) error {
	return r.review(ctx, "approve", id, feedback, func(c *change, a *assignment, h *hit) error {
		if a.status == Rejected && override && !h.disposed && c.now < a.submitted.Add(overrideFor) {
			return c.override(ctx, a, h)
		}
		if a.status != Submitted {
			return assignmentState(a, Submitted.String())
		}
		return c.approve(ctx, a, h)
	})
}

// approve adds the payment of submitted work.
func (c *change) approve(ctx context.Context, a *assignment, h *hit) error {
	to, paid := c.payees(a, h), int64(1)
	if !c.covered(h) {
		c.pay(h, to)
		paid = 0
	} else if len(to) > 0 {
		c.Ops = append(c.Ops, &ledger.Capture{Hold: h.hold, NoMove: true, To: to})
	}
	was := *h
	a.status, a.approvedAt = Approved, c.now
	h.submitted--
	h.approved++
	c.work(a, h)
	c.settleDisabled(h)
	return c.save(ctx, &was, h, paid)
}

// pay adds a payment that nothing is on hold for.
func (c *change) pay(h *hit, to []ledger.Payee) {
	for _, to := range to {
		c.Ops = append(c.Ops, &ledger.Transfer{Kind: ledger.Charge, From: h.account, To: to.To, Amount: to.Amount})
	}
}

// payees returns whom an assignment pays.
func (c *change) payees(a *assignment, h *hit) []ledger.Payee {
	var to []ledger.Payee
	if h.reward > 0 {
		to = append(to, ledger.Payee{To: a.account, Amount: h.reward.steps(1, c.r.scale)})
	}
	if h.fee > 0 {
		to = append(to, ledger.Payee{To: c.feesTo(), Amount: h.fee.steps(1, c.r.scale)})
	}
	return to
}

// feesTo is the account that gets fees.
func (c *change) feesTo() ledger.AccountID { return ledger.SystemID(c.r.book, c.r.unit, ledger.Fees) }

// override adds the payment of work that was rejected.
func (c *change) override(ctx context.Context, a *assignment, h *hit) error {
	c.pay(h, c.payees(a, h))
	was := *h
	a.status, a.approvedAt, a.rejected = Approved, c.now, 0
	h.rejected--
	h.approved++
	c.work(a, h)
	return c.save(ctx, &was, h, 0)
}

// Reject refuses work: nothing is paid, and what was on hold for it is free.
func (r *Requester) Reject(ctx context.Context, id, feedback string) error {
	return r.review(ctx, "reject", id, feedback, func(c *change, a *assignment, h *hit) error {
		if a.status != Submitted {
			return assignmentState(a, Submitted.String())
		}
		was := *h
		a.status, a.rejected = Rejected, c.now
		h.submitted--
		h.rejected++
		c.work(a, h)
		c.settleDisabled(h)
		return c.save(ctx, &was, h, 0)
	})
}

// settleDisabled disposes of a HIT that was disabled when nothing is left of it.
func (c *change) settleDisabled(h *hit) {
	if h.disabled && !h.disposed && h.pending == 0 && h.submitted == 0 {
		h.dispose()
	}
}

// GetAssignment returns submitted work and its HIT.
func (r *Requester) GetAssignment(ctx context.Context, id string) (*Assignment, *HIT, error) {
	if _, err := r.d.settle(ctx); err != nil {
		return nil, nil, err
	}
	a, h, err := r.submission(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	shown, err := r.showWork(ctx, a)
	if err != nil {
		return nil, nil, err
	}
	of, err := r.show(ctx, h)
	return shown, of, err
}

// head returns an assignment without what was answered.
func (a *assignment) head() *Assignment {
	return &Assignment{ID: a.id, WorkerID: a.worker, HITID: a.hit, Status: a.status, Accepted: a.accepted, Submitted: a.submitted,
		AutoApproval: a.auto, Approved: a.approvedAt, Rejected: a.rejected, Deadline: a.deadline, Feedback: a.feedback, WorkerAccount: a.account}
}

// showWork returns an assignment as its requester sees it.
func (r *Requester) showWork(ctx context.Context, a *assignment) (*Assignment, error) {
	shown := a.head()
	if !a.answer {
		return shown, nil
	}
	rec, err := r.record(ctx, kindAnswer, a.id)
	if err == nil && rec == nil {
		err = errRecord
	}
	if err != nil {
		return nil, err
	}
	u := unpack(rec.Data)
	shown.Answer = u.text()
	return shown, u.err()
}

// assignmentDue does what is due about an assignment: nobody submitted it in
// time, so that another may have it; or nobody reviewed it, so that it is
// approved.
func (d *Desk) assignmentDue(ctx context.Context, rec *ledger.Record) error {
	seen, err := unpackAssignment(rec.Key, rec.Version, rec.Data)
	if err != nil {
		return err
	}
	r, err := d.requesterOf(ctx, rec.Book, seen.hit)
	if err != nil {
		return err
	}
	return r.act(ctx, func(c *change) error {
		a, err := r.assignment(ctx, rec.Key)
		if err != nil || a == nil || a.version != rec.Version { // another has done it
			return err
		}
		if at := a.due(); at == 0 || at > c.now {
			return nil
		}
		h, err := r.hit(ctx, a.hit)
		if err != nil {
			return err
		}
		c.named("due", a.id, a.version)
		if a.status == Submitted {
			return c.approve(ctx, a, h)
		}
		return c.giveBack(ctx, a, h)
	})
}

// requesterOf returns the requester of a HIT.
func (d *Desk) requesterOf(ctx context.Context, book ledger.BookID, id string) (*Requester, error) {
	rec, err := d.l.Record(ctx, ledger.RecordKey{Book: book, Kind: kindHIT, Key: id})
	if err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, noHIT(id)
	}
	h, err := unpackHIT(id, rec.Version, rec.Data)
	if err != nil {
		return nil, err
	}
	return d.Requester(ctx, h.account, Call{})
}
