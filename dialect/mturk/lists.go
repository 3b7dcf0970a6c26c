package mturk

import (
	"context"

	"saldo/ledger"
)

// A Page is a part of a list.
type Page struct {
	After   string // where the page before it ended; "": the first
	Skip    int    // then so many more: in time that grows with it
	Limit   int
	Reverse bool // from the end of the list on
}

// rows calls use with the records of a page, and returns where it ends; "" says
// that the list does.
func (r *Requester) rows(ctx context.Context, q ledger.Query, p Page, use func(*ledger.Record) error) (string, error) {
	q.Limit = p.Skip + p.Limit + 1
	return r.rowsOf(ctx, q, p, func(*ledger.Record) (bool, error) { return true, nil }, use)
}

// rowsOf is rows of a list of those records alone that belong to it.
func (r *Requester) rowsOf(ctx context.Context, q ledger.Query, p Page, belongs func(*ledger.Record) (bool, error), use func(*ledger.Record) error) (string, error) {
	q.List, q.Book, q.From, q.Reverse = ledger.ListRecords, r.book, p.After, p.Reverse
	n, last := 0, ""
	for row, err := range r.d.l.Scan(ctx, q) {
		if err != nil {
			return "", err
		}
		if ok, err := belongs(row.Record); err != nil {
			return "", err
		} else if !ok {
			continue
		}
		n++
		switch {
		case n > p.Skip+p.Limit:
			return last, nil
		case n > p.Skip:
			if err := use(row.Record); err != nil {
				return "", err
			}
		}
		last = row.Key
	}
	return "", nil
}

// hits returns a page of HITs, the newest first, and where it ends.
func (r *Requester) hits(ctx context.Context, index, value string, p Page) (hits []*HIT, next string, err error) {
	if _, err := r.d.settle(ctx); err != nil {
		return nil, "", err
	}
	next, err = r.rows(ctx, ledger.Query{Kind: kindHIT, Index: index, Value: value}, p, func(rec *ledger.Record) error {
		h, err := unpackHIT(rec.Key, rec.Version, rec.Data)
		if err != nil {
			return err
		}
		shown, err := r.show(ctx, h)
		hits = append(hits, shown)
		return err
	})
	return hits, next, err
}

// ListHITs returns a page of the requester's HITs that are not disposed of, the
// newest first, and where it ends: "" says that it is the last.
func (r *Requester) ListHITs(ctx context.Context, p Page) ([]*HIT, string, error) {
	return r.hits(ctx, indexRequester, requesterIndex(r.Account), p)
}

// ListReviewable returns a page of the HITs that are Reviewable or Reviewing, of
// one type or (with "") of any.
func (r *Requester) ListReviewable(ctx context.Context, status HITStatus, typeID string, p Page) ([]*HIT, string, error) {
	q := r.reviewable(status, typeID)
	return r.hits(ctx, q.Index, q.Value, p)
}

// ReviewableIDs is ListReviewable for who wants the ids alone.
func (r *Requester) ReviewableIDs(ctx context.Context, status HITStatus, typeID string, p Page) (ids []string, next string, err error) {
	if _, err := r.d.settle(ctx); err != nil {
		return nil, "", err
	}
	q := r.reviewable(status, typeID)
	q.Kind = kindHIT
	next, err = r.rows(ctx, q, p, func(rec *ledger.Record) error {
		ids = append(ids, rec.Key)
		return nil
	})
	return ids, next, err
}

// reviewable says where HITs are that are to be reviewed.
func (r *Requester) reviewable(status HITStatus, typeID string) ledger.Query {
	in := reviewIndex(status, r.Account)
	if typeID == "" {
		return ledger.Query{Index: indexReview, Value: in}
	}
	return ledger.Query{Index: indexReviewOf, Value: in + typeID}
}

// Counts says how many HITs a requester has: in all, Reviewable, Reviewing.
type Counts struct{ HITs, Reviewable, Reviewing int64 }

// Counts returns how many HITs the requester has that are not disposed of.
func (r *Requester) Counts(ctx context.Context) (n Counts, err error) {
	if _, err := r.d.settle(ctx); err != nil {
		return n, err
	}
	rec, err := r.record(ctx, kindRequester, r.Account.String())
	if err != nil || rec == nil {
		return n, err
	}
	for _, c := range rec.Counters {
		switch c.Name {
		case countHITs:
			n.HITs = c.Value
		case countReviewable:
			n.Reviewable = c.Value
		case countReviewing:
			n.Reviewing = c.Value
		}
	}
	return n, nil
}

// ListAssignments returns a page of the work that was submitted for a HIT, in
// the order in which it was accepted, and where the page ends. Of a status that
// is not 0 it is only that work.
func (r *Requester) ListAssignments(ctx context.Context, hitID string, status AssignmentStatus, p Page) ([]*Assignment, string, error) {
	return r.listWork(ctx, hitID, status, p, func(a *assignment) (*Assignment, error) { return r.showWork(ctx, a) })
}

func (r *Requester) listWork(ctx context.Context, hitID string, status AssignmentStatus, p Page, show func(*assignment) (*Assignment, error)) (list []*Assignment, next string, err error) {
	if _, err := r.d.settle(ctx); err != nil {
		return nil, "", err
	}
	h, err := r.hit(ctx, hitID)
	if err != nil {
		return nil, "", err
	}
	next, err = r.workOn(ctx, h, status, p, func(rec *ledger.Record) error {
		a, err := unpackAssignment(rec.Key, rec.Version, rec.Data)
		if err != nil {
			return err
		}
		shown, err := show(a)
		list = append(list, shown)
		return err
	})
	return list, next, err
}

// workOn is rows of the work that was submitted for a HIT, of a status that is not
// 0 or of any.
func (r *Requester) workOn(ctx context.Context, h *hit, status AssignmentStatus, p Page, use func(*ledger.Record) error) (string, error) {
	q := ledger.Query{Kind: kindAssignment, Index: indexHIT, Value: h.id}
	switch {
	case status == 0:
	case h.few():
		return r.rowsOf(ctx, q, p, func(rec *ledger.Record) (bool, error) {
			a, err := unpackAssignment(rec.Key, rec.Version, rec.Data)
			return err == nil && a.status == status, err
		}, use)
	default:
		q.Index, q.Value = indexStatus, statusIndex(h.id, status)
	}
	return r.rows(ctx, q, p, use)
}

// AssignmentCounts returns how many assignments of a HIT were submitted and not
// reviewed, approved, and rejected.
func (r *Requester) AssignmentCounts(ctx context.Context, hitID string) (submitted, approved, rejected int64, err error) {
	if _, err := r.d.settle(ctx); err != nil {
		return 0, 0, 0, err
	}
	h, err := r.hit(ctx, hitID)
	if err != nil {
		return 0, 0, 0, err
	}
	return h.submitted, h.approved, h.rejected, nil
}

// ListBonuses returns a page of the bonuses for a HIT or, if hitID is "", for an
// assignment, the earliest first, and where the page ends.
func (r *Requester) ListBonuses(ctx context.Context, hitID, assignmentID string, p Page) (list []*Bonus, next string, err error) {
	q := ledger.Query{Kind: kindBonus, Index: indexHIT, Value: hitID}
	if hitID != "" {
		_, err = r.hit(ctx, hitID)
	} else {
		q.Index, q.Value = indexOf, assignmentID
		_, _, err = r.submission(ctx, assignmentID)
	}
	if err != nil {
		return nil, "", err
	}
	next, err = r.rows(ctx, q, p, func(rec *ledger.Record) error {
		b, err := unpackBonus(rec.Data)
		list = append(list, b)
		return err
	})
	return list, next, err
}
