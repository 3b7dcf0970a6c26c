package ledger

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"saldo/money"
)

// A BookMove asks for an amount to go from an account to one in another book of
// the tenant. The server carries it through: it sets the amount aside in the
// one book, posts it in the other, and captures. A record keeps the state, so
// that a server that starts again goes on where the last one stopped.
type BookMove struct {
	Tenant   TenantID
	ID       string
	Actor    uint64
	From, To AccountID
	Amount   money.Amount
	Text     *Text
}

// moveKind is the kind of the records of moves between books. Their key is the
// move's id.
const moveKind = "move"

// moveRetry is how long a move that was interrupted rests before it goes on.
const moveRetry = 2 * time.Second

// A moveRow is the data of a move's record.
type moveRow struct {
	To      string `json:"to"`
	Amount  string `json:"amount"` // steps
	State   string `json:"state"`  // "set aside", "done" or "refused"
	Code    Code   `json:"code,omitempty"`
	Refused string `json:"refused,omitempty"`
}

// MoveBetweenBooks makes a move between books and returns when it is done or
// refused. The event is the one that set the amount aside. When the outcome is
// not known in time it is Unavailable: the move goes on by itself, and a repeat
// tells.
func (l *Ledger) MoveBetweenBooks(ctx context.Context, m BookMove) (Result, error) {
	from, err := l.Account(ctx, m.From)
	if err != nil {
		return Result{}, err
	}
	to, err := l.Account(ctx, m.To)
	if err != nil {
		return Result{}, err
	}
	fromUnit, err := l.UnitOf(ctx, from)
	if err != nil {
		return Result{}, err
	}
	toUnit, err := l.UnitOf(ctx, to)
	switch {
	case err != nil:
		return Result{}, err
	case from.Tenant != m.Tenant || to.Tenant != m.Tenant:
		return Result{}, Errorf(NotFound, "account %v does not exist here", m.To)
	case from.Book == to.Book:
		return Result{}, Errorf(Invalid, "the accounts are in one book; make a transfer")
	case fromUnit != toUnit:
		return Result{}, Errorf(Invalid, "the accounts have different units: %s and %s", fromUnit.Code, toUnit.Code)
	case to.Mode == Drawing:
		return Result{}, Errorf(Invalid, "account %v draws on another's money and has none of its own; name the account that has", m.To)
	case m.ID == "":
		return Result{}, Errorf(Invalid, "a move between books needs an id")
	}
	now, err := l.Now()
	if err != nil {
		return Result{}, err
	}
	row := moveRow{To: m.To.String(), Amount: m.Amount.Text(0), State: "set aside"}
	c := &Command{Tenant: m.Tenant, Book: from.Book, ID: m.ID, Actor: m.Actor, Remember: true,
		Asked: moveAsked(&m),
		Ops:   []Op{&PlaceHold{Account: m.From, Amount: m.Amount, Expires: Lifetime{Never: true}, Text: m.Text}},
		Records: []RecordWrite{{Kind: moveKind, Key: m.ID, Data: row.encode(),
			Deadline: now.Add(moveRetry)}}}
	res, err := l.Post(ctx, c)
	if err != nil {
		return res, err
	}
	rec, err := l.Record(ctx, RecordKey{from.Book, moveKind, m.ID})
	if err != nil {
		return res, err
	}
	same := rec != nil
	if same && res.Replayed {
		if same, err = l.sameText(ctx, from.Book, res.Event, m.Text); err != nil {
			return res, err
		}
	}
	if !same {
		return Result{}, Errorf(IDTaken, "the id %s was used for another command; nothing was changed", quote(m.ID))
	}
	return res, l.carryMove(ctx, rec)
}

// sameText reports whether a move says what the event of an earlier one says, as
// far as that is still there. Asked has no text in it: none can be guessed from it.
func (l *Ledger) sameText(ctx context.Context, book BookID, e *Event, text *Text) (bool, error) {
	at := TextAt{e.Seq, e.Holds[0].Text}
	was, err := l.Text(ctx, book, at)
	switch {
	case err != nil:
		return false, err
	case text == nil || at.N == 0:
		return text == nil && at.N == 0, nil
	}
	return was == nil || bytes.Equal(was, text.Data), nil
}

// moveAsked tells moves with one id apart.
func moveAsked(m *BookMove) []byte {
	b := append([]byte("move"), m.From[:]...)
	b = append(b, m.To[:]...)
	return m.Amount.AppendVarint(b)
}

func (r moveRow) encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and a number
	}
	return b
}

// refusal is what the callers of a move that was refused are told.
func (r moveRow) refusal() error {
	return &Error{Refusal: Refusal{Code: r.Code, Detail: r.Refused}}
}

// readMove reads the record of a move: how far it has come, to whom it goes, and
// how much.
func readMove(rec *Record) (row moveRow, to AccountID, amount money.Amount, err error) {
	err = json.Unmarshal(rec.Data, &row)
	to, ok := ParseAccountID(row.To)
	if err == nil {
		amount, err = money.Parse(row.Amount, 0)
	}
	if err != nil || !ok {
		err = Errorf(Internal, "the record of move %s cannot be read (was it written by a newer version?)", quote(rec.Key))
	}
	return row, to, amount, err
}

// carryMove takes a move from where its record says to its end.
func (l *Ledger) carryMove(ctx context.Context, rec *Record) error {
	row, id, amount, err := readMove(rec)
	if err != nil {
		return err
	}
	switch row.State {
	case "done":
		return nil
	case "refused":
		return row.refusal()
	}
	to, err := l.Account(ctx, id)
	if err != nil {
		return err
	}
	head, err := l.Head(ctx, rec.Book)
	if err != nil {
		return err
	}
	ref := RefOf(head.Tenant, rec.Key)
	_, err = l.Post(ctx, &Command{Tenant: head.Tenant, Book: to.Book, ID: moveID("in", ref), own: true,
		Remember: true,
		Ops:      []Op{&Transfer{Kind: Move, From: SystemID(to.Book, to.Unit, Cash), To: id, Amount: amount}}})
	if err != nil && (CodeOf(err).Retryable() || CodeOf(err) == Internal) {
		return err
	}
	end := &Command{Tenant: head.Tenant, Book: rec.Book, ID: moveID("out", ref), own: true}
	if err != nil {
		row.State, row.Code, row.Refused = "refused", CodeOf(err), err.Error()
		if e := (*Error)(nil); errors.As(err, &e) {
			row.Refused = e.Detail
		}
		end.Ops = []Op{&Release{Hold: rec.Key}}
	} else {
		row.State = "done"
		unit, uerr := l.moveUnit(ctx, head.Tenant, rec.Key)
		if uerr != nil {
			return uerr
		}
		end.Ops = []Op{&Capture{Hold: rec.Key, Final: true,
			To: []Payee{{SystemID(rec.Book, unit, Cash), amount}}}}
	}
	end.Records = []RecordWrite{{Kind: moveKind, Key: rec.Key, Expect: rec.Version, Data: row.encode()}}
	if _, endErr := l.Post(ctx, end); endErr != nil {
		return endErr
	}
	return err
}

// stepMark begins the ids of steps.
const stepMark = '\x01'

// moveID is the id of a move's step: one that no caller can use.
func moveID(step string, ref Ref) string {
	return string(stepMark) + "move-" + step + ":" + hex.EncodeToString(ref[:])
}

// MoveOf returns the id of the move between books that an event carries out, "" if
// it carries out none, or one that is not here: such events have ids of the ledger's own.
func (l *Ledger) MoveOf(ctx context.Context, e *Event) (string, error) {
	step, ok := strings.CutPrefix(e.ID, string(stepMark)+"move-")
	if !ok {
		return "", nil
	}
	_, digits, _ := strings.Cut(step, ":")
	ref, err := hex.DecodeString(digits)
	if err != nil || len(ref) != len(Ref{}) {
		return "", nil
	}
	at, err := l.findID(ctx, Ref(ref))
	if err != nil || at == nil {
		return "", err
	}
	asked, err := l.Event(ctx, at.Book, at.Seq)
	if err != nil {
		return "", err
	}
	return asked.ID, nil
}

// FindMove finds a move between books that is done, and the event that set its
// amount aside. One that was refused is an error, that it was; one that is under way
// is Unavailable.
func (l *Ledger) FindMove(ctx context.Context, tenant TenantID, id string) (*BookMove, *Event, error) {
	book, e, _, err := l.Find(ctx, tenant, id)
	if err != nil {
		return nil, nil, err
	}
	rec, err := l.Record(ctx, RecordKey{book, moveKind, id})
	if err != nil {
		return nil, nil, err
	}
	if rec == nil || len(e.Holds) == 0 {
		return nil, nil, Errorf(NotFound, "no move between books has the id %s", quote(id))
	}
	row, to, amount, err := readMove(rec)
	if err != nil {
		return nil, nil, err
	}
	m := &BookMove{Tenant: tenant, ID: id, Actor: e.Actor, From: e.Holds[0].Account, To: to, Amount: amount}
	if via := e.Holds[0].Via; !via.IsZero() {
		m.From = via
	}
	switch row.State {
	case "done":
	case "refused":
		err = row.refusal()
	default:
		err = Errorf(Unavailable, "the move %s is under way; ask again", quote(id))
	}
	return m, e, err
}

// moveUnit returns the index of the unit of a move in the book that it leaves.
func (l *Ledger) moveUnit(ctx context.Context, tenant TenantID, id string) (uint32, error) {
	h, err := l.Hold(ctx, tenant, id)
	if err != nil {
		return 0, err
	}
	a, err := l.Account(ctx, h.Account)
	if err != nil {
		return 0, err
	}
	return a.Unit, nil
}
