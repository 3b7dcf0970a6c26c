package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"saldo/dialect"
	"saldo/ledger"
	"saldo/money"
)

// What is stored is records of the operator's book, book 0 of tenant 0. Tenants
// have ten digits in keys, so that they sort.
//
//	kind            key                     holds
//	watch.source    tenant/name             a sourceRow; index tenant
//	watch.state     tenant/name             a stateRow
//	watch.history   tenant/name/when        a chunk; index source
//	watch.rule      its id                  a ruleRow; index tenant
//	watch.standing  its rule's id           a Standing, of a rule about an account
//	watch.endpoint  tenant/name             an endpointRow; index tenant
//	watch.alert     tenant/when, newest first/id
//	                                        an alertRow; index tenant, open until it is on its way, and firing
//	                                        until it is resolved
//	watch.delivery  tenant/endpoint/rule's id/number
//	                                        a deliveryRow; index open and lane, or dead
//	watch.cursor    book                    the last event that rules were applied to
//	watch.change    "all"                   nothing: its version says that what is configured changed
const (
	kindSource   = "watch.source"
	kindState    = "watch.state"
	kindHistory  = "watch.history"
	kindRule     = "watch.rule"
	kindStanding = "watch.standing"
	kindEndpoint = "watch.endpoint"
	kindAlert    = "watch.alert"
	kindDelivery = "watch.delivery"
	kindCursor   = "watch.cursor"
	kindChange   = "watch.change"

	indexTenant = "tenant"
	indexSource = "source"
	indexOpen   = "open"
	indexFiring = "firing"
	indexDead   = "dead"
	indexLane   = "lane"

	keyChange = "all"
)

// rowVersion is the version of all rows. A field that older versions can do
// without is no new version.
const rowVersion = 1

func tenantKey(t ledger.TenantID) string { return fmt.Sprintf("%010d", t) }

// A stateRow is how far a source has come.
type stateRow struct {
	V     int         `json:"v"`
	Node  string      `json:"node,omitempty"`  // who polls it
	Until ledger.Time `json:"until,omitempty"` // until when nobody else does
	Next  ledger.Time `json:"next"`            // when it is asked again

	Tried  ledger.Time `json:"tried"`
	Began  ledger.Time `json:"began"` // when it was first tried
	Fails  int         `json:"fails,omitempty"`
	Reason string      `json:"reason,omitempty"` // why it failed
	Why    string      `json:"why,omitempty"`    // in a sentence

	Read    ledger.Time          `json:"read,omitempty"` // when it last succeeded
	Account string               `json:"account,omitempty"`
	Shown   string               `json:"shown,omitempty"` // as the vendor wrote it
	OnHold  string               `json:"on_hold,omitempty"`
	Unit    string               `json:"unit,omitempty"`
	TopUp   string               `json:"topup,omitempty"`  // the last rise
	Points  string               `json:"points,omitempty"` // a chunk: those of the present hour, or the last one
	Rules   map[string]*Standing `json:"rules,omitempty"`

	points  chunk
	version uint64
}

// A ruleRow is a Rule as stored.
type ruleRow struct {
	V        int             `json:"v"`
	Name     string          `json:"name"`
	Tenant   ledger.TenantID `json:"tenant"`
	Source   string          `json:"source,omitempty"`
	Account  string          `json:"account,omitempty"`
	When     Condition       `json:"when"`
	Levels   []Level         `json:"levels"`
	Clear    Threshold       `json:"clear"`
	Cooldown int64           `json:"cooldown,omitempty"` // seconds
	Quiet    bool            `json:"quiet,omitempty"`
	To       []string        `json:"to,omitempty"`
	TopUp    *TopUp          `json:"top_up,omitempty"`
	Created  ledger.Time     `json:"created"`
}

func (r *Rule) row() *ruleRow {
	row := &ruleRow{V: rowVersion, Name: r.Name, Tenant: r.Tenant, Source: r.Source, When: r.When, Levels: r.Levels, Clear: r.Clear,
		Cooldown: int64(r.Cooldown / time.Second), Quiet: r.Quiet, To: r.To, TopUp: r.TopUp, Created: r.Created}
	if !r.Account.IsZero() {
		row.Account = r.Account.String()
	}
	return row
}

func (row *ruleRow) rule(id string) (*Rule, error) {
	r := &Rule{ID: id, Name: row.Name, Tenant: row.Tenant, Source: row.Source, When: row.When, Levels: row.Levels, Clear: row.Clear,
		Cooldown: time.Duration(row.Cooldown) * time.Second, Quiet: row.Quiet, To: row.To, TopUp: row.TopUp, Created: row.Created}
	if row.Account != "" {
		id, ok := ledger.ParseAccountID(row.Account)
		if !ok {
			return nil, fmt.Errorf("watch: the account of rule %s", row.Name)
		}
		r.Account = id
	}
	return r, nil
}

// An alertRow is an Alert as stored.
type alertRow struct {
	V      int             `json:"v"`
	Tenant ledger.TenantID `json:"of"`
	At     ledger.Time     `json:"at"`
	Fired  ledger.Time     `json:"fired,omitempty"` // of a resolution: when what it ends began
	To     []string        `json:"to,omitempty"`
	Alert
}

// alertKey sorts a tenant's alerts newest first.
func alertKey(tenant ledger.TenantID, at ledger.Time, id string) string {
	return fmt.Sprintf("%s/%019d/%s", tenantKey(tenant), int64(ledger.MaxTime-at), id)
}

// write makes the record of an alert that is to be delivered.
func (a *Alert) write(tenant ledger.TenantID) ledger.RecordWrite {
	row := &alertRow{V: rowVersion, Tenant: tenant, At: a.Time, To: a.To, Alert: *a}
	index := []ledger.IndexEntry{{Name: indexTenant, Value: tenantKey(tenant)}, {Name: indexOpen, Value: "1"}}
	if a.lasts() {
		index = append(index, ledger.IndexEntry{Name: indexFiring, Value: tenantKey(tenant)})
	} else if a.State == "resolved" {
		row.Fired = a.Fired
	}
	return ledger.RecordWrite{Kind: kindAlert, Key: alertKey(tenant, a.Time, a.ID), Data: encode(row), Index: index}
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // rows are of types that marshal
	}
	return b
}

func decode[T any](r *ledger.Record) (*T, error) {
	row := new(T)
	if err := json.Unmarshal(r.Data, row); err != nil {
		return nil, fmt.Errorf("watch: the record %s %s: %w", r.Kind, r.Key, err)
	}
	return row, nil
}

func (w *Watch) record(ctx context.Context, kind, key string) (*ledger.Record, error) {
	return w.o.Ledger.Record(ctx, ledger.RecordKey{Kind: kind, Key: key})
}

// readState returns the state of a source; an empty one of version 0 if it has none.
func (w *Watch) readState(ctx context.Context, key string) (*stateRow, error) {
	r, err := w.record(ctx, kindState, key)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return &stateRow{V: rowVersion}, nil
	}
	s, err := decode[stateRow](r)
	if err != nil {
		return nil, err
	}
	s.version = r.Version
	s.points, err = parseChunk([]byte(s.Points))
	return s, err
}

// write makes the record of a state.
func (s *stateRow) write(key string) ledger.RecordWrite {
	s.Points = string(s.points.append(nil))
	return ledger.RecordWrite{Kind: kindState, Key: key, Expect: s.version, Data: encode(s)}
}

// last returns the last point, if there is one.
func (s *stateRow) last() (Point, bool) {
	if len(s.points) == 0 {
		return Point{}, false
	}
	return s.points[len(s.points)-1], true
}

// take adds what a vendor answered: it returns by how much the balance rose,
// and the chunk that is complete with it, if one is.
func (s *stateRow) take(r *dialect.Reading, at ledger.Time) (rise money.Amount, full chunk, err error) {
	balance, ok := widen(r.Amount, r.Scale)
	if !ok {
		return rise, nil, &dialect.Error{Reason: dialect.Unreadable, Message: fmt.Sprintf("the amount %.40s is too large to watch", r.Text)}
	}
	seconds := int64(at) / 1e6
	p := Point{At: seconds, Balance: balance}
	if was, ok := s.last(); ok {
		if s.Unit != r.Unit || seconds < was.At {
			p.Observed = was.Observed // another unit: what was summed up says nothing any more
		} else if p, rise, ok = was.next(seconds, balance); !ok {
			return rise, nil, &dialect.Error{Reason: dialect.Unreadable, Message: fmt.Sprintf("the amount %.40s is too large to watch", r.Text)}
		}
		if was.At/3600 != seconds/3600 {
			full, s.points = s.points, nil
		} else if was.At == seconds {
			s.points = s.points[:len(s.points)-1]
		}
	}
	s.points = append(s.points, p)
	s.Read, s.Account, s.Shown, s.OnHold, s.Unit = at, clip(r.Account, 64), clip(r.Text, 64), clip(r.OnHold, 64), clip(r.Unit, 16)
	if rise.Sign() > 0 {
		s.TopUp = text(rise)
	}
	return rise, full, nil
}

// clip bounds what a vendor says before it is kept.
func clip(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "")
}

func (s *stateRow) lastTopUp() (money.Amount, bool) { return parseWide(s.TopUp) }

func parseWide(s string) (money.Amount, bool) {
	if s == "" {
		return money.Amount{}, false
	}
	a, err := money.Parse(s, wide)
	return a, err == nil
}

// historyKey names the chunk that a time is in, of hours, days or months.
func historyKey(source string, at int64, layout string) string {
	return source + "/" + time.Unix(at, 0).UTC().Format(layout)
}

func writeChunk(source string, c chunk, layout string) ledger.RecordWrite {
	return ledger.RecordWrite{Kind: kindHistory, Key: historyKey(source, c[0].At, layout), Expect: ledger.AnyVersion, Data: c.append(nil),
		Index: []ledger.IndexEntry{{Name: indexSource, Value: source}}}
}

// each calls use with the records of a kind that have an index entry.
func (w *Watch) each(ctx context.Context, kind, index, value string, use func(*ledger.Record) error) error {
	for row, err := range w.o.Ledger.Scan(ctx, ledger.Query{List: ledger.ListRecords, Kind: kind, Index: index, Value: value}) {
		if err == nil {
			err = use(row.Record)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// history returns the chunks of a source, by key.
func (w *Watch) history(ctx context.Context, source string, use func(key string, c chunk) error) error {
	return w.each(ctx, kindHistory, indexSource, source, func(r *ledger.Record) error {
		c, err := parseChunk(r.Data)
		if err == nil {
			err = use(r.Key, c)
		}
		return err
	})
}
