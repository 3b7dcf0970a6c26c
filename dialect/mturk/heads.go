package mturk

import (
	"context"

	"saldo/ledger"
)

// Lists of the API before 2017 are sorted in many ways, which takes a look at all
// of what is in them: at what it is sorted by, without what is large.

// A Head is what HITs are sorted by.
type Head struct {
	ID      string
	Title   string
	Reward  Cents
	Expires ledger.Time
}

// Heads returns a page of ListHITs or, of a status that is not 0, of
// ListReviewable: of each HIT what it is sorted by.
func (r *Requester) Heads(ctx context.Context, status HITStatus, typeID string, p Page) (heads []Head, next string, err error) {
	if _, err := r.d.settle(ctx); err != nil {
		return nil, "", err
	}
	q := ledger.Query{Index: indexRequester, Value: requesterIndex(r.Account)}
	if status != 0 {
		q = r.reviewable(status, typeID)
	}
	q.Kind = kindHIT
	types := map[string]*HITType{}
	next, err = r.rows(ctx, q, p, func(rec *ledger.Record) error {
		h, err := unpackHIT(rec.Key, rec.Version, rec.Data)
		if err != nil {
			return err
		}
		t := types[h.typeID]
		if t == nil {
			if t, err = r.hitType(ctx, h.typeID); err != nil {
				return err
			}
			types[h.typeID] = t
		}
		heads = append(heads, Head{h.id, t.Title, h.reward, h.expires})
		return nil
	})
	return heads, next, err
}

// WorkHeads is ListAssignments without what was answered.
func (r *Requester) WorkHeads(ctx context.Context, hitID string, status AssignmentStatus, p Page) ([]*Assignment, string, error) {
	return r.listWork(ctx, hitID, status, p, func(a *assignment) (*Assignment, error) { return a.head(), nil })
}

// FillIn adds what was answered to an assignment of WorkHeads.
func (r *Requester) FillIn(ctx context.Context, a *Assignment) error {
	rec, err := r.assignment(ctx, a.ID)
	if err != nil || rec == nil {
		return err
	}
	shown, err := r.showWork(ctx, rec)
	if err == nil {
		a.Answer = shown.Answer
	}
	return err
}
