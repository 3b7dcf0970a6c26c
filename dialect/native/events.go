package native

import (
	"strconv"
	"strings"

	"saldo/ledger"
	"saldo/money"
)

// events serves GET /v1/events: a book's journal, in pages or as it grows.
func (s *server) events(q *request) (reply, error) {
	if err := q.ask("after", "limit", "book"); err != nil {
		return reply{}, err
	}
	book, err := q.book(q.query.Get("book"))
	if err != nil {
		return reply{}, err
	}
	after, given, err := q.afterSeq()
	if err != nil {
		return reply{}, err
	}
	if wants(q.Request, "text/event-stream") {
		return q.streamEvents(&book, after, given)
	}
	limit := defaultPage
	if text := q.query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPage {
			return reply{}, invalid("limit", "has to be a whole number from 1 to %d", maxPage)
		}
	}
	head, err := s.ledger.Head(q.ctx, book.Number)
	if err != nil {
		return reply{}, err
	}
	q.b = append(q.b, '{')
	q.openList("items")
	ew := eventWriter{q: q, book: &book, head: head}
	last, err := ew.scan(after, limit)
	if err != nil {
		return reply{}, err
	}
	q.closeList()
	if last < head.Seq {
		q.string("next", strconv.FormatUint(last, 10))
	}
	q.close()
	return reply{}, nil
}

// afterSeq reads which event was the last that the caller has seen.
func (q *request) afterSeq() (seq uint64, given bool, err error) {
	text := q.query.Get("after")
	if last := q.Header.Get("Last-Event-Id"); last != "" {
		text = last
	}
	if text == "" {
		return 0, false, nil
	}
	if seq, err = strconv.ParseUint(text, 10, 63); err != nil {
		return 0, false, invalid("after", "has to be the seq of an event")
	}
	return seq, true, nil
}

// An eventWriter writes the events of a book as far as a credential opens them.
type eventWriter struct {
	q     *request
	book  *ledger.Book
	head  ledger.Head
	opens map[ledger.AccountID]bool // of a credential that opens a subtree
	units map[ledger.AccountID]money.Unit
}

// scan writes up to limit events as items of a list, or as many as fill a page,
// and returns the seq of the last that it looked at.
func (w *eventWriter) scan(after uint64, limit int) (uint64, error) {
	last, n, looked := after, 0, 0
	query := ledger.Query{List: ledger.ListEvents, Book: w.book.Number, After: after}
	for row, err := range w.q.s.ledger.Scan(w.q.ctx, query) {
		if err != nil {
			return last, err
		}
		if n == limit || looked == examined || len(w.q.b) > fullPage || row.Event.Seq > w.head.Seq {
			return last, nil
		}
		looked++
		last = row.Event.Seq
		shown, err := w.mine(row.Event)
		if err != nil {
			return last, err
		}
		if !shown {
			continue
		}
		n++
		w.q.b = comma(w.q.b)
		if err := w.event(row.Event); err != nil {
			return last, err
		}
	}
	return last, nil
}

// opened reports whether the credential opens an account.
func (w *eventWriter) opened(id ledger.AccountID) (bool, error) {
	if w.q.cred.Root.IsZero() {
		return true, nil
	}
	if id.IsZero() || id.IsSystem() {
		return false, nil
	}
	if ok, known := w.opens[id]; known {
		return ok, nil
	}
	a, err := w.q.s.ledger.Account(w.q.ctx, id)
	if err != nil {
		return false, err
	}
	if w.opens == nil {
		w.opens = make(map[ledger.AccountID]bool)
	}
	w.opens[id] = w.q.opens(a)
	return w.opens[id], nil
}

// mine reports whether an event is about any account that the credential opens.
func (w *eventWriter) mine(e *ledger.Event) (bool, error) {
	if w.q.cred.Root.IsZero() {
		return true, nil
	}
	if e.Refused != nil {
		return w.opened(e.Refused.Account)
	}
	for i := range e.Touched {
		if ok, err := w.opened(e.Touched[i].Account); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func (w *eventWriter) unit(id ledger.AccountID) (money.Unit, error) {
	if u, ok := w.units[id]; ok {
		return u, nil
	}
	a, err := w.q.s.ledger.Account(w.q.ctx, id)
	if err != nil {
		return money.Unit{}, err
	}
	if w.units == nil {
		w.units = make(map[ledger.AccountID]money.Unit)
	}
	u, err := w.q.unit(a)
	w.units[id] = u
	return u, err
}

// event writes one event.
func (w *eventWriter) event(e *ledger.Event) error {
	q := w.q
	q.b = append(q.b, '{')
	q.string("id", w.book.Name+"/"+strconv.FormatUint(e.Seq, 10))
	q.time("created_at", e.Time)
	q.string("book", w.book.Name)
	q.uint("seq", e.Seq)
	q.word("command_id", e.ID)
	q.uint("actor", e.Actor)
	if r := e.Refused; r != nil {
		q.string("outcome", "refused")
		q.string("code", faultOfLedger(r.Code).code)
		if !r.Account.IsZero() {
			q.writer.account("account", r.Account)
		}
		q.close()
		return nil
	}
	q.string("outcome", "done")
	for _, part := range []func(*ledger.Event) error{w.transfers, w.holds, w.settings, w.balances} {
		if err := part(e); err != nil {
			return err
		}
	}
	q.close()
	return nil
}

func (w *eventWriter) transfers(e *ledger.Event) error {
	if len(e.Transfers) == 0 {
		return nil
	}
	q := w.q
	q.openList("transfers")
	for n := range e.Transfers {
		p := &e.Transfers[n]
		ok, err := w.opened(p.From)
		for _, id := range []ledger.AccountID{p.To, p.Via} {
			if !ok && err == nil {
				ok, err = w.opened(id)
			}
		}
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		unit, err := w.unit(p.From)
		if err != nil {
			return err
		}
		q.item()
		q.transfer(e, n, unit)
		if err := q.referred(p); err != nil {
			return err
		}
		if err := q.noteOf(w.book.Number, e, p.Text); err != nil {
			return err
		}
		q.close()
	}
	q.closeList()
	return nil
}

func (w *eventWriter) holds(e *ledger.Event) error {
	if len(e.Holds) == 0 {
		return nil
	}
	q := w.q
	q.openList("holds")
	for n := range e.Holds {
		ch := &e.Holds[n]
		h := held(ch, e)
		if ok, err := w.opened(h.Owner()); err != nil {
			return err
		} else if !ok {
			continue
		}
		unit, err := w.unit(ch.Account)
		if err != nil {
			return err
		}
		q.item()
		q.string("act", ch.Act.String())
		if ch.Act == ledger.HoldPlaced {
			q.string("id", e.HoldID(n))
		}
		q.string("ref", refName(ch.Ref))
		q.writer.account("account", h.Owner())
		q.string("unit", unit.Code)
		q.amount("amount", ch.Amount, unit)
		q.amount("remaining", ch.Remaining, unit)
		q.amount("captured", ch.Captured, unit)
		q.string("state", ch.State.String())
		q.orNull("expires_at", ch.Expires)
		q.close()
	}
	q.closeList()
	return nil
}

// refName spells a hold's reference, which names it where its id is not at hand.
func refName(r ledger.Ref) string { return strings.ReplaceAll(ledger.AccountID(r).String(), "-", "") }

// settings writes what was opened, set and erased, and the units that were added.
func (w *eventWriter) settings(e *ledger.Event) error {
	q := w.q
	if len(e.Opened) > 0 {
		q.openList("opened")
		for i := range e.Opened {
			o := &e.Opened[i]
			if ok, err := w.opened(o.Account); err != nil {
				return err
			} else if !ok {
				continue
			}
			q.item()
			q.writer.account("id", o.Account)
			if !o.Parent.IsZero() {
				q.writer.account("parent", o.Parent)
			}
			q.string("mode", o.Mode.String())
			if err := q.noteOf(w.book.Number, e, o.Profile); err != nil {
				return err
			}
			q.close()
		}
		q.closeList()
	}
	if len(e.Set) > 0 {
		q.openList("settings")
		for i := range e.Set {
			st := &e.Set[i]
			if ok, err := w.opened(st.Account); err != nil {
				return err
			} else if !ok {
				continue
			}
			q.item()
			q.writer.account("id", st.Account)
			if st.HasStatus {
				q.string("status", st.Status.String())
			}
			q.flag("credit_limit_set", st.HasLimit)
			q.flag("cap_set", st.HasCap)
			q.flag("forced", st.Forced)
			n, err := q.noteText(w.book.Number, e, st.Profile)
			if err != nil {
				return err
			}
			why, err := q.noteText(w.book.Number, e, st.Reason)
			if err != nil {
				return err
			}
			n.reason = why.reason
			q.note(n)
			q.close()
		}
		q.closeList()
	}
	if len(e.Erased) > 0 {
		q.openList("erased")
		for _, id := range e.Erased {
			if ok, err := w.opened(id); err != nil {
				return err
			} else if ok {
				q.b = appendQuoted(comma(q.b), id.String())
			}
		}
		q.closeList()
	}
	if len(e.Units) > 0 {
		q.openList("units")
		for _, u := range e.Units {
			q.b = appendQuoted(comma(q.b), u.Code)
		}
		q.closeList()
	}
	return nil
}

// balances writes what every account had after the event.
func (w *eventWriter) balances(e *ledger.Event) error {
	if len(e.Touched) == 0 {
		return nil
	}
	q := w.q
	q.openList("balances")
	for i := range e.Touched {
		t := &e.Touched[i]
		if ok, err := w.opened(t.Account); err != nil {
			return err
		} else if !ok {
			continue
		}
		unit, err := w.unit(t.Account)
		if err != nil {
			return err
		}
		q.item()
		q.writer.account("id", t.Account)
		q.string("unit", unit.Code)
		q.amount("posted", t.Posted, unit)
		q.amount("held", t.Held, unit)
		if t.Capped {
			q.amount("cap", t.Limit, unit)
		} else {
			q.amount("credit_limit", t.Limit, unit)
		}
		q.close()
	}
	q.closeList()
	return nil
}
