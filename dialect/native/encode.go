package native

import (
	"bytes"
	"encoding/json"
	"strconv"

	"saldo/ledger"
	"saldo/money"
)

// A writer appends JSON. Names are the program's own and need no escapes;
// commas are put where they belong.
type writer struct{ b []byte }

func (w *writer) key(name string) {
	w.b = append(comma(w.b), '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *writer) open(name string) {
	w.key(name)
	w.b = append(w.b, '{')
}

func (w *writer) close() { w.b = append(w.b, '}') }

func (w *writer) openList(name string) {
	w.key(name)
	w.b = append(w.b, '[')
}

func (w *writer) item() { w.b = append(comma(w.b), '{') }

func (w *writer) closeList() { w.b = append(w.b, ']') }

func (w *writer) string(name, s string) {
	w.key(name)
	w.b = appendQuoted(w.b, s)
}

// word writes a string unless it is empty.
func (w *writer) word(name, s string) {
	if s != "" {
		w.string(name, s)
	}
}

func (w *writer) uint(name string, n uint64) {
	w.key(name)
	w.b = strconv.AppendUint(w.b, n, 10)
}

func (w *writer) bool(name string, v bool) {
	w.key(name)
	w.b = strconv.AppendBool(w.b, v)
}

// flag writes true, or nothing.
func (w *writer) flag(name string, v bool) {
	if v {
		w.bool(name, true)
	}
}

func (w *writer) amount(name string, a money.Amount, unit money.Unit) {
	w.key(name)
	w.b = append(w.b, '"')
	w.b = a.AppendText(w.b, int(unit.Scale))
	w.b = append(w.b, '"')
}

func (w *writer) time(name string, t ledger.Time) {
	w.key(name)
	w.b = appendTime(w.b, t)
}

// orNull writes a time, or null for none.
func (w *writer) orNull(name string, t ledger.Time) {
	w.key(name)
	if t == 0 {
		w.b = append(w.b, "null"...)
		return
	}
	w.b = appendTime(w.b, t)
}

func appendTime(dst []byte, t ledger.Time) []byte {
	dst = append(dst, '"')
	dst = t.AppendText(dst)
	return append(dst, '"')
}

// account writes an account's id: a UUID, or @revenue and the like.
func (w *writer) account(name string, id ledger.AccountID) {
	w.key(name)
	w.b = append(w.b, '"')
	w.b = appendAccount(w.b, id)
	w.b = append(w.b, '"')
}

func appendAccount(dst []byte, id ledger.AccountID) []byte {
	if id.IsSystem() {
		_, _, role := id.System()
		return append(dst, role.String()...)
	}
	return id.AppendText(dst)
}

func accountName(id ledger.AccountID) string { return string(appendAccount(nil, id)) }

// value writes anything else.
func (w *writer) value(v any) error {
	buf := bytes.NewBuffer(w.b)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	w.b = bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	return nil
}

// balance writes what is in a balance. Its id is the account's.
func (w *writer) balance(b *ledger.Balance, updated ledger.Time) {
	a := b.Account
	w.b = append(w.b, '{')
	w.key("id")
	w.b = append(w.b, '"')
	if a.ID.IsSystem() {
		w.b = appendAccount(w.b, a.ID)
		w.b = append(append(w.b, ':'), b.Unit.Code...)
	} else {
		w.b = a.ID.AppendText(w.b)
	}
	w.b = append(w.b, '"')
	w.time("created_at", a.Created)
	w.time("updated_at", updated)
	w.string("unit", b.Unit.Code)
	w.amount("posted", b.Posted, b.Unit)
	w.amount("held", b.Held, b.Unit)
	w.amount("available", b.Available, b.Unit)
	w.amount("credit_limit", b.Limit, b.Unit)
	w.amount("spendable", b.Spendable, b.Unit)
	if !b.DrawnFrom.IsZero() {
		w.account("drawn_from", b.DrawnFrom)
		w.amount("spent", b.Spent, b.Unit)
		if b.HasCap {
			w.amount("cap", b.Cap, b.Unit)
		}
	}
	w.time("as_of", b.AsOf)
	w.uint("seq", b.Seq)
	w.b = append(w.b, '}')
}

// usage writes what a charge was for. A count is written without zeros at its end.
func (w *writer) usage(u *ledger.Usage) {
	if u.IsZero() {
		return
	}
	w.word("category", u.Category)
	if !u.Count.IsZero() {
		w.string("count", u.Count.Text(countScale))
	}
	w.word("usage_unit", u.Unit)
}

// transfer writes the members of the nth transfer of an event, up to its text;
// the object is the caller's to open and close.
func (w *writer) transfer(e *ledger.Event, n int, unit money.Unit) {
	p := &e.Transfers[n]
	w.string("id", e.TransferID(n))
	w.time("created_at", e.Time)
	w.string("kind", p.Kind.String())
	w.account("from", p.From)
	w.account("to", p.To)
	if !p.Via.IsZero() {
		w.account("via", p.Via)
	}
	w.amount("amount", p.Amount, unit)
	w.string("unit", unit.Code)
	if !p.Asked.IsZero() {
		w.amount("asked", p.Asked, unit)
	}
	w.flag("forced", p.Forced)
	w.usage(&p.Usage)
	w.uint("seq", e.Seq)
}

// hold writes the members of a hold as h has it, up to its text.
func (w *writer) hold(h *ledger.Hold, unit money.Unit) {
	w.string("id", h.ID)
	w.time("created_at", h.Created)
	w.time("updated_at", h.Updated)
	w.account("account", h.Owner())
	if !h.Via.IsZero() {
		w.account("drawn_from", h.Account)
	}
	w.string("unit", unit.Code)
	w.amount("amount", h.Amount, unit)
	w.amount("remaining", h.Remaining, unit)
	w.amount("captured", h.Captured, unit)
	w.string("state", h.State.String())
	w.orNull("expires_at", h.Expires)
	w.uint("seq", h.Seq)
}

// A note is a free text taken apart: each part as JSON, nil where there is none.
type note struct{ name, reason, metadata []byte }

var noteMembers = []string{"name", "reason", "metadata"}

// parseNote reads a free text. What another dialect wrote and this one does not
// know is left out.
func parseNote(text []byte) (n note) {
	if len(text) == 0 {
		return n
	}
	var parts map[string]json.RawMessage
	d := decoder{b: text}
	d.object(noteMembers, func(name string) {
		start := d.i
		switch name {
		case "name":
			d.quoted()
			n.name = d.b[start:d.i]
		case "reason":
			d.quoted()
			n.reason = d.b[start:d.i]
		case "metadata":
			d.metadata()
			n.metadata = d.b[start:d.i]
		}
	})
	if d.end(); d.err == nil {
		return n
	}
	n = note{}
	if json.Unmarshal(text, &parts) == nil {
		var s string
		if json.Unmarshal(parts["name"], &s) == nil {
			n.name = parts["name"]
		}
		if json.Unmarshal(parts["reason"], &s) == nil {
			n.reason = parts["reason"]
		}
	}
	return n
}

// note writes the parts of a free text.
func (w *writer) note(n note) {
	for _, part := range [...]struct {
		name string
		json []byte
	}{{"name", n.name}, {"reason", n.reason}, {"metadata", n.metadata}} {
		if part.json != nil {
			w.key(part.name)
			w.b = append(w.b, part.json...)
		}
	}
}

// compose writes a note as it is stored, or nil if it says nothing.
func (n note) compose() *ledger.Text {
	if n.name == nil && n.reason == nil && n.metadata == nil {
		return nil
	}
	w := writer{b: make([]byte, 1, 24+len(n.name)+len(n.reason)+len(n.metadata))}
	w.b[0] = '{'
	w.note(n)
	w.close()
	return &ledger.Text{Data: w.b}
}
