package native

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"saldo/ledger"
	"saldo/money"
)

// A line is one line of a statement: a transfer as one account sees it.
type line struct {
	n      int          // which transfer of the event; -1: the event has none
	amount money.Amount // what it did to posted
	posted money.Amount // after it
	held   money.Amount // after the event
}

func (l *line) none() bool { return l.n < 0 }

// at is where the line is in its event, as a cursor has it.
func (l *line) at() int { return max(l.n, 0) }

// A statementQuery is what a statement is asked for.
type statementQuery struct {
	account  *ledger.Account
	unit     money.Unit
	from, to ledger.Time // to is exclusive; 0: open
	kind     ledger.TransferKind
	newest   bool // first
	seq      uint64
	after    int // line of event seq to go on after; -1: begin with the event after seq
}

// statement serves GET /v1/accounts/{id}/statement, as JSON or as CSV.
func (s *server) statement(q *request) (reply, error) {
	a, err := q.pathAccount()
	if err != nil {
		return reply{}, err
	}
	if err := q.ask("from", "to", "kind", "order", "cursor", "limit", "book"); err != nil {
		return reply{}, err
	}
	st, err := q.statementQuery(a)
	if err != nil {
		return reply{}, err
	}
	if wants(q.Request, "text/csv") {
		return q.csv(st)
	}
	p, err := q.page()
	if err != nil {
		return reply{}, err
	}
	if err := st.begin(p.from); err != nil {
		return reply{}, err
	}
	err = q.lines(st, func(e *ledger.Event, l *line) (bool, error) {
		key := fmt.Sprintf("%d.%d", e.Seq, l.at())
		if l.none() {
			return p.passes(key), nil
		}
		if !p.more(key) {
			return false, nil
		}
		if st.kind != 0 && e.Transfers[l.n].Kind != st.kind {
			return true, nil
		}
		p.took()
		q.item()
		err := q.line(a, e, l, st.unit)
		q.close()
		return true, err
	})
	return q.endPage(p), err
}

func (q *request) statementQuery(a *ledger.Account) (*statementQuery, error) {
	st := &statementQuery{account: a, after: -1}
	var err error
	if st.unit, err = q.unit(a); err != nil {
		return nil, err
	}
	if st.from, err = q.moment("from"); err != nil {
		return nil, err
	}
	if st.to, err = q.moment("to"); err != nil {
		return nil, err
	}
	if word := q.query.Get("kind"); word != "" {
		var ok bool
		if st.kind, ok = ledger.ParseTransferKind(word); !ok {
			return nil, invalid("kind", "has to be topup, charge, capture, refund, adjustment or move")
		}
	}
	switch q.query.Get("order") {
	case "", "desc":
		st.newest = true
	case "asc":
	default:
		return nil, invalid("order", "has to be desc, newest first, or asc")
	}
	return st, nil
}

// begin goes on where a cursor says that the last page ended.
func (st *statementQuery) begin(cursor string) error {
	if cursor == "" {
		return nil
	}
	seq, n, ok := strings.Cut(cursor, ".")
	var err1, err2 error
	st.seq, err1 = strconv.ParseUint(seq, 10, 64)
	st.after, err2 = strconv.Atoi(n)
	if !ok || err1 != nil || err2 != nil {
		return invalid("cursor", "has to be what next was, unchanged")
	}
	return nil
}

// lines calls yield with every line of a statement, in order, and of an event that
// has none, as one that places a hold, with one that is none: a page is bounded by
// them, too.
func (q *request) lines(st *statementQuery, yield func(*ledger.Event, *line) (bool, error)) error {
	a := st.account
	query := ledger.Query{List: ledger.ListStatement, Book: a.Book, Account: a.ID, Reverse: st.newest}
	if err := q.bounds(st, &query); err != nil {
		return err
	}
	for row, err := range q.s.ledger.Scan(q.ctx, query) {
		if err != nil {
			return err
		}
		e := row.Event
		if st.newest && e.Time < st.from || !st.newest && st.to != 0 && e.Time >= st.to {
			return nil
		}
		all, err := q.linesOf(a, e)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			all = []line{{n: -1}}
		}
		for i := range all {
			l := &all[i]
			if st.newest {
				l = &all[len(all)-1-i]
			}
			if e.Seq == st.seq && (st.newest && l.at() >= st.after || !st.newest && l.at() <= st.after) {
				continue
			}
			if more, err := yield(e, l); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// bounds makes numbers of a statement's times: After is exclusive.
func (q *request) bounds(st *statementQuery, query *ledger.Query) error {
	switch {
	case st.after >= 0 && st.newest:
		query.After = st.seq + 1
	case st.after >= 0:
		query.After = st.seq - 1
	case st.newest && st.to != 0:
		seq, err := q.s.ledger.SeqAt(q.ctx, query.Book, st.to-1)
		query.After = seq + 1
		return err
	case !st.newest && st.from != 0:
		seq, err := q.s.ledger.SeqAt(q.ctx, query.Book, st.from-1)
		query.After = seq
		return err
	}
	return nil
}

// linesOf returns the lines of an event in an account's statement, in the order
// in which they happened.
func (q *request) linesOf(a *ledger.Account, e *ledger.Event) ([]line, error) {
	after, ok := e.BalanceAfter(a.ID)
	if !ok {
		return nil, nil
	}
	var lines []line
	for n := range e.Transfers {
		p := &e.Transfers[n]
		amount := p.Amount
		switch refund := p.Kind == ledger.Refunding; {
		case a.Mode == ledger.Drawing:
			below, err := q.below(p.Via, a.ID)
			if err != nil {
				return nil, err
			}
			if !below {
				continue
			}
			if !refund {
				amount, _ = amount.Neg()
			}
		case p.To == a.ID:
		case p.From == a.ID:
			amount, _ = amount.Neg()
		default:
			continue
		}
		lines = append(lines, line{n: n, amount: amount, held: after.Held})
	}
	posted := after.Posted
	for i := len(lines) - 1; i >= 0; i-- {
		lines[i].posted = posted
		posted, _ = posted.Sub(lines[i].amount)
	}
	return lines, nil
}

// below reports whether an account is another, or somewhere below it.
func (q *request) below(id, top ledger.AccountID) (bool, error) {
	for !id.IsZero() && id != top {
		a, err := q.s.ledger.Account(q.ctx, id)
		if err != nil {
			return false, err
		}
		id = a.Parent
	}
	return id == top, nil
}

// line writes the members of a line.
func (q *request) line(a *ledger.Account, e *ledger.Event, l *line, unit money.Unit) error {
	p := &e.Transfers[l.n]
	id, err := q.idOf(e, l.n)
	if err != nil {
		return err
	}
	q.string("id", id)
	q.time("created_at", e.Time)
	q.string("kind", p.Kind.String())
	q.amount("amount", l.amount, unit)
	q.string("unit", unit.Code)
	q.amount("posted", l.posted, unit)
	q.amount("held", l.held, unit)
	q.writer.account("counterparty", other(p, a))
	if !p.Via.IsZero() && p.Via != a.ID {
		q.writer.account("via", p.Via)
	}
	if !p.Asked.IsZero() {
		q.amount("asked", p.Asked, unit)
	}
	q.flag("forced", p.Forced)
	q.usage(&p.Usage)
	q.uint("seq", e.Seq)
	if err := q.referred(p); err != nil {
		return err
	}
	return q.noteOf(a.Book, e, p.Text)
}

// csvHeader names the columns of a statement.
var csvHeader = []string{"created_at", "id", "kind", "amount", "posted", "unit", "counterparty", "via", "category", "count",
	"usage_unit", "reason", "seq", "of", "hold", "forced"}

// csv writes a statement as CSV: all of it, unless a limit says how much.
func (q *request) csv(st *statementQuery) (reply, error) {
	limit := -1
	if text := q.query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return reply{}, invalid("limit", "has to be a whole number above 0")
		}
		limit = n
	}
	if q.query.Get("cursor") != "" {
		return reply{}, invalid("cursor", "is not for CSV, which is all of it")
	}
	return reply{stream: func(w http.ResponseWriter) error {
		h := w.Header()
		h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
		h.Set("Content-Disposition", `attachment; filename="statement-`+strings.Trim(accountName(st.account.ID), "@")+`.csv"`)
		h["Cache-Control"] = noStore
		h["X-Content-Type-Options"] = noSniff
		if q.Method == http.MethodHead {
			return nil
		}
		control := http.NewResponseController(w)
		buf := bufio.NewWriterSize(w, 32<<10)
		out := csv.NewWriter(buf)
		if err := out.Write(csvHeader); err != nil {
			return err
		}
		row := make([]string, len(csvHeader))
		written, looked := 0, 0
		err := q.lines(st, func(e *ledger.Event, l *line) (bool, error) {
			if looked++; looked%256 == 0 {
				control.SetWriteDeadline(time.Now().Add(writeTimeout))
			}
			if l.none() || st.kind != 0 && e.Transfers[l.n].Kind != st.kind {
				return true, nil
			}
			if err := q.csvRow(row, st, e, l); err != nil {
				return false, err
			}
			written++
			return written != limit, out.Write(row)
		})
		if err != nil {
			q.s.o.Logger.Error("a statement was cut short", "error", err)
			return err
		}
		if out.Flush(); out.Error() != nil {
			return out.Error()
		}
		return buf.Flush()
	}}, nil
}

func (q *request) csvRow(row []string, st *statementQuery, e *ledger.Event, l *line) error {
	p := &e.Transfers[l.n]
	n, err := q.noteText(st.account.Book, e, p.Text)
	if err != nil {
		return err
	}
	reason := ""
	if n.reason != nil {
		if err := json.Unmarshal(n.reason, &reason); err != nil {
			return err
		}
	}
	of, hold, err := q.references(p)
	if err != nil {
		return err
	}
	id, err := q.idOf(e, l.n)
	if err != nil {
		return err
	}
	via, count, forced := "", "", ""
	if p.Forced {
		forced = "true"
	}
	if !p.Via.IsZero() {
		via = p.Via.String()
	}
	if !p.Usage.Count.IsZero() {
		count = p.Usage.Count.Text(countScale)
	}
	copy(row, []string{e.Time.String(), cell(id), p.Kind.String(), st.unit.Text(l.amount), st.unit.Text(l.posted),
		st.unit.Code, accountName(other(p, st.account)), via, cell(p.Usage.Category), count, cell(p.Usage.Unit), cell(reason),
		strconv.FormatUint(e.Seq, 10), cell(of), cell(hold), forced})
	return nil
}

// cell keeps a spreadsheet from taking a text for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// other returns the other side of a transfer.
func other(p *ledger.Posting, a *ledger.Account) ledger.AccountID {
	switch {
	case a.Mode == ledger.Drawing && p.Kind == ledger.Refunding:
		return p.From
	case a.Mode != ledger.Drawing && p.To == a.ID:
		return p.From
	}
	return p.To
}

// noteText returns a text of an event, taken apart.
func (q *request) noteText(book ledger.BookID, e *ledger.Event, text uint32) (note, error) {
	switch {
	case text == 0:
		return note{}, nil
	case int(text) <= len(e.Beside):
		return parseNote(e.Beside[text-1].Data), nil
	}
	data, err := q.s.ledger.Text(q.ctx, book, ledger.TextAt{Seq: e.Seq, N: text})
	return parseNote(data), err
}
