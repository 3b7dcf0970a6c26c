package twilio

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"saldo/auth"
	"saldo/ledger"
	"saldo/money"
)

// Records of this API, in the books of the accounts that they are of. A trigger's
// key is its SID; a firing's is the trigger's SID, a slash, and which crossing it
// is of, so that there is one of each; a wanted token's is the account's id.
const (
	kindTrigger = "twilio.trigger"
	kindFiring  = "twilio.firing"
	kindToken   = "twilio.token"

	indexAccount = "account" // of triggers: hexadecimal digits of the account's id
	indexArmed   = "armed"   // of triggers that may fire again, or be armed again: "1"
)

// balanceCategory is the category of triggers that look at what is left, which
// the vendor does not have: they fire at or below their value.
const balanceCategory = "balance"

// What a trigger looks at, and how often it may fire.
const (
	byCount, byUsage, byPrice = "count", "usage", "price"

	once, daily, monthly, yearly, always = "", "daily", "monthly", "yearly", "alltime"
)

// A trigger is the JSON of a record of kind twilio.trigger.
type trigger struct {
	V         int         `json:"v"`
	Account   string      `json:"account"`
	Name      string      `json:"name,omitempty"`
	URL       string      `json:"url"`
	Method    string      `json:"method"`
	Category  string      `json:"category"`
	By        string      `json:"by"`
	Value     string      `json:"value"` // a decimal
	Recurring string      `json:"recurring,omitempty"`
	Fired     ledger.Time `json:"fired,omitempty"` // last
	Crossing  string      `json:"crossing,omitempty"`
	Low       bool        `json:"low,omitempty"` // of a balance: it has fired and is to be above its value before it fires again

	sid     string
	account *ledger.Account
	record  *ledger.Record
}

// readTrigger reads a record of kind twilio.trigger.
func readTrigger(r *ledger.Record) (*trigger, error) {
	t := &trigger{sid: r.Key, record: r}
	err := json.Unmarshal(r.Data, t)
	id, ok := ledger.ParseAccountID(t.Account)
	if err != nil || t.V != 1 || !ok {
		return nil, fmt.Errorf("twilio: the trigger %s cannot be read (was it written by a newer version?)", r.Key)
	}
	t.account = &ledger.Account{ID: id, Book: r.Book}
	return t, nil
}

// write is the write that stores a trigger in place of the version it was read at.
func (t *trigger) write() ledger.RecordWrite {
	w := ledger.RecordWrite{Kind: kindTrigger, Key: t.sid, Data: encode(t), Index: []ledger.IndexEntry{{Name: indexAccount, Value: t.Account}}}
	if t.record != nil {
		w.Expect = t.record.Version
	}
	if t.armed() {
		w.Index = append(w.Index, ledger.IndexEntry{Name: indexArmed, Value: "1"})
	}
	return w
}

func encode(row any) []byte {
	data, err := json.Marshal(row)
	if err != nil {
		panic(err) // rows are structs of strings and numbers
	}
	return data
}

// armed reports whether a trigger has to be looked at.
func (t *trigger) armed() bool {
	return t.Fired == 0 || t.Recurring != once && (t.Recurring != always || t.Category == balanceCategory)
}

// priced reports whether a trigger looks at money: also at the usage of the
// total, which is its price.
func (t *trigger) priced() bool { return t.By == byPrice || t.Category == total && t.By == byUsage }

// scale is the decimals of a trigger's value.
func (t *trigger) scale(unit money.Unit) int {
	if t.priced() {
		return int(unit.Scale)
	}
	return 0
}

// A figure is what a trigger looks at, at a moment.
type figure struct {
	amount money.Amount
	scale  int
}

func (f figure) text() string { return f.amount.TextMin(f.scale, 0) }

// figure returns a trigger's current value, in the span of days that it counts.
func (s *Server) figure(ctx context.Context, t *trigger, unit money.Unit, from, to ledger.Day) (figure, error) {
	if t.Category == balanceCategory {
		b, err := s.ledger.Balance(ctx, t.account.ID)
		return figure{b.Spendable, int(unit.Scale)}, err
	}
	sum, err := s.ledger.Usage(ctx, t.account, true, ledgerCategory(t.Category), from, to)
	if t.priced() {
		return figure{sum.Price, int(unit.Scale)}, err
	}
	return figure{sum.Count, 0}, err
}

// period returns the days that a trigger counts at a day, and what they are called.
func (t *trigger) period(day ledger.Day) (from, to ledger.Day, name string) {
	switch t.Recurring {
	case daily:
		return day, day, dayText(day)
	case monthly:
		from, to = monthOf(day)
		return from, to, dayText(from)[:len("2006-01")]
	case yearly:
		from, to = yearOf(day)
		return from, to, dayText(from)[:len("2006")]
	}
	return ledger.FirstDay, ledger.LastDay, "once"
}

// listTriggers serves GET …/Usage/Triggers.
func (q *request) listTriggers() error {
	v, p, err := q.list()
	if err != nil {
		return err
	}
	b, err := q.account(auth.Read)
	if err != nil {
		return err
	}
	l := listing{key: "usage_triggers", element: "UsageTrigger", path: q.at("/Usage/Triggers"), filters: v}
	query := triggersOf(b.Account)
	query.From = p.from
	at := p.from
	for row, err := range q.s.ledger.Scan(q.Context(), query) {
		if err != nil {
			return err
		}
		if len(l.records) == p.size {
			l.next = at
			break
		}
		at = row.Key
		t, err := readTrigger(row.Record)
		if err != nil {
			return err
		}
		if is(v, "Recurring", t.Recurring) && is(v, "TriggerBy", t.By) && is(v, "UsageCategory", t.Category) {
			fields, err := q.triggerFields(&b, t)
			if err != nil {
				return err
			}
			l.records = append(l.records, resource{"UsageTrigger", fields})
		}
	}
	q.giveList(&l, &p)
	return nil
}

func triggersOf(a *ledger.Account) ledger.Query {
	return ledger.Query{List: ledger.ListRecords, Book: a.Book, Kind: kindTrigger, Index: indexAccount, Value: hex.EncodeToString(a.ID[:])}
}

// is reports whether a filter lets a value pass.
func is(v url.Values, filter, value string) bool {
	return v.Get(filter) == "" || v.Get(filter) == value
}

// mostTriggers is how many an account may have.
const mostTriggers = 1000

// createTrigger serves POST …/Usage/Triggers.
func (q *request) createTrigger() error {
	v, err := q.params()
	if err != nil {
		return err
	}
	b, err := q.account(auth.Admin)
	if err != nil {
		return err
	}
	id := q.s.ledger.NewID()
	t := &trigger{V: 1, sid: "UT" + hex.EncodeToString(id[:]), account: b.Account, Account: hex.EncodeToString(b.Account.ID[:])}
	if err := t.set(v, true); err != nil {
		return err
	}
	if err := t.measure(v); err != nil {
		return err
	}
	if t.Value, err = q.threshold(t, b.Unit, b.AsOf.Day(), v.Get("TriggerValue")); err != nil {
		return err
	}
	c, err := q.s.tokenOf(q.Context(), b.Account, q.sid)
	if err != nil {
		return err
	}
	if c == nil {
		return invalidParameter("The account has no auth token, with which callbacks are signed")
	}
	n := 0
	for _, err := range q.s.ledger.Scan(q.Context(), triggersOf(b.Account)) {
		if err != nil {
			return err
		}
		n++
	}
	if n >= mostTriggers {
		return invalidParameter("An account has at most 1000 usage triggers")
	}
	return q.writeTrigger(http.StatusCreated, &b, t)
}

// writeTrigger stores a trigger and answers with it.
func (q *request) writeTrigger(status int, b *ledger.Balance, t *trigger) error {
	r, err := q.post(b.Account, &ledger.Command{Records: []ledger.RecordWrite{t.write()}})
	if err != nil {
		return err
	}
	if t.record == nil {
		t.record = &ledger.Record{Created: r.Event.Time}
	}
	now := *t.record
	now.Updated = r.Event.Time
	t.record = &now
	fields, err := q.triggerFields(b, t)
	if err == nil {
		q.give(status, "UsageTrigger", fields...)
	}
	return err
}

// set takes from a request what can be changed later.
func (t *trigger) set(v url.Values, created bool) error {
	if text := v.Get("CallbackUrl"); text != "" || created {
		if err := checkURL(text); err != nil {
			return err
		}
		t.URL = text
	}
	switch method := strings.ToUpper(v.Get("CallbackMethod")); method {
	case http.MethodGet, http.MethodPost:
		t.Method = method
	case "":
		if created {
			t.Method = http.MethodPost
		}
	default:
		return invalidParameter("CallbackMethod has to be GET or POST")
	}
	if v.Has("FriendlyName") {
		t.Name = v.Get("FriendlyName")
	}
	return checkText("FriendlyName", t.Name, 64)
}

// checkURL says why a URL cannot be called.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || len(text) > 2000 || checkText("", text, 2000) != nil {
		return invalidParameter("CallbackUrl has to be an absolute URL, http or https, of up to 2000 characters")
	}
	return nil
}

// measure takes from a request what a trigger looks at.
func (t *trigger) measure(v url.Values) error {
	t.Category, t.By, t.Recurring = v.Get("UsageCategory"), v.Get("TriggerBy"), v.Get("Recurring")
	if t.Category == "" || len(t.Category) > 64 || checkText("", t.Category, 64) != nil {
		return invalidParameter("UsageCategory has to be a category, of up to 64 bytes")
	}
	if t.By == "" {
		t.By = byUsage
		if t.Category == balanceCategory {
			t.By = byPrice
		}
	}
	if !slices.Contains([]string{byCount, byUsage, byPrice}, t.By) || t.Category == balanceCategory && t.By != byPrice {
		return invalidParameter("TriggerBy has to be count, usage or price; of the balance, price")
	}
	if !slices.Contains([]string{once, daily, monthly, yearly, always}, t.Recurring) {
		return invalidParameter("Recurring has to be daily, monthly, yearly or alltime")
	}
	return nil
}

// threshold reads a trigger's value: a number or, of usage, +N for N above what it is now.
func (q *request) threshold(t *trigger, unit money.Unit, today ledger.Day, text string) (string, error) {
	bad := invalidParameter("TriggerValue has to be a number above zero, or +N for N above what is used now")
	more, relative := strings.CutPrefix(text, "+")
	scale := t.scale(unit)
	value, err := money.Parse(more, scale)
	switch {
	case err != nil && strings.HasPrefix(text, " "):
		return "", invalidParameter("TriggerValue begins with a space: in a form, the plus of +N is sent as %2B")
	case err != nil:
		return "", bad
	case t.Category == balanceCategory:
		if relative {
			return "", invalidParameter("TriggerValue of the balance has to be an amount")
		}
		return value.TextMin(scale, 0), nil
	case value.Sign() <= 0:
		return "", bad
	case relative:
		from, to, _ := t.period(today)
		now, err := q.s.figure(q.Context(), t, unit, from, to)
		if err != nil {
			return "", err
		}
		var ok bool
		if value, ok = value.Add(now.amount); !ok {
			return "", bad
		}
	}
	return value.TextMin(scale, 0), nil
}

// trigger returns the trigger in the path, for who has a scope.
func (q *request) trigger(scope auth.Scope) (ledger.Balance, *trigger, error) {
	b, err := q.account(scope)
	if err != nil {
		return b, nil, err
	}
	missing := ledger.Errorf(ledger.NotFound, "the account has no such trigger")
	if !strings.HasPrefix(q.name, "UT") || len(q.name) != 34 {
		return b, nil, missing
	}
	r, err := q.s.ledger.Record(q.Context(), ledger.RecordKey{Book: b.Account.Book, Kind: kindTrigger, Key: "UT" + strings.ToLower(q.name[2:])})
	if err != nil || r == nil {
		if err == nil {
			err = missing
		}
		return b, nil, err
	}
	t, err := readTrigger(r)
	if err == nil && t.account.ID != b.Account.ID {
		err = missing
	}
	return b, t, err
}

// fetchTrigger serves GET …/Usage/Triggers/{Sid}.
func (q *request) fetchTrigger() error {
	b, t, err := q.trigger(auth.Read)
	if err != nil {
		return err
	}
	fields, err := q.triggerFields(&b, t)
	if err == nil {
		q.give(http.StatusOK, "UsageTrigger", fields...)
	}
	return err
}

// updateTrigger serves POST …/Usage/Triggers/{Sid}.
func (q *request) updateTrigger() error {
	v, err := q.params()
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		b, t, err := q.trigger(auth.Admin)
		if err != nil {
			return err
		}
		if err := t.set(v, false); err != nil {
			return err
		}
		err = q.writeTrigger(http.StatusOK, &b, t)
		if ledger.CodeOf(err) != ledger.Changed || try == 8 { // it has fired just now
			return err
		}
		q.land()
	}
}

// deleteTrigger serves DELETE …/Usage/Triggers/{Sid}. A firing that nobody was
// told of goes with it (see deliver).
func (q *request) deleteTrigger() error {
	b, t, err := q.trigger(auth.Admin)
	if err != nil {
		return err
	}
	w := ledger.RecordWrite{Kind: kindTrigger, Key: t.sid, Expect: ledger.AnyVersion, Delete: true}
	if _, err := q.post(b.Account, &ledger.Command{Records: []ledger.RecordWrite{w}}); err != nil {
		return err
	}
	q.gone()
	return nil
}

// triggerFields is a trigger as answers have it, with what it looks at as it is now.
func (q *request) triggerFields(b *ledger.Balance, t *trigger) ([]field, error) {
	t.account = b.Account
	from, to, _ := t.period(b.AsOf.Day())
	now, err := q.s.figure(q.Context(), t, b.Unit, from, to)
	if err != nil {
		return nil, err
	}
	fired := ""
	if t.Fired != 0 {
		fired = date(t.Fired)
	}
	return []field{
		{name: "account_sid", value: q.sid},
		{name: "api_version", value: version[1:]},
		{name: "callback_method", value: t.Method},
		{name: "callback_url", value: t.URL},
		{name: "current_value", value: now.text()},
		{name: "date_created", value: date(t.record.Created)},
		optional("date_fired", fired),
		{name: "date_updated", value: date(t.record.Updated)},
		{name: "friendly_name", value: t.Name},
		optional("recurring", t.Recurring),
		{name: "sid", value: t.sid},
		{name: "trigger_by", value: t.By},
		{name: "trigger_value", value: t.Value},
		{name: "uri", value: q.at("/Usage/Triggers/") + t.sid + q.extension},
		{name: "usage_category", value: t.Category},
		{name: "usage_record_uri", value: q.at("/Usage/Records") + q.extension + "?Category=" + escape(t.Category)},
	}, nil
}

// post writes records to an account's book.
func (s *Server) post(ctx context.Context, a *ledger.Account, writes ...ledger.RecordWrite) (ledger.Result, error) {
	return s.ledger.Post(ctx, &ledger.Command{Tenant: a.Tenant, Book: a.Book, Records: writes})
}
