package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/money"
)

func TestDay(t *testing.T) {
	for _, c := range []struct {
		at   string
		want ledger.Day
	}{
		{"1970-01-01T00:00:00Z", 0}, {"1970-01-01T23:59:59.999999Z", 0}, {"1970-01-02T00:00:00Z", 1},
		{"1969-12-31T23:59:59.999999Z", -1}, {"1969-12-31T00:00:00Z", -1}, {"2026-11-22T00:00:00Z", 20779},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := ledger.TimeOf(at).Day(); got != c.want || got.Start() > ledger.TimeOf(at) || (got+1).Start() <= ledger.TimeOf(at) {
			t.Errorf("%s is on day %d, want %d", c.at, got, c.want)
		}
	}
}

// uses are what an event says was used.
func uses(e *ledger.Event) (all []string) {
	e.EachUse(func(u *ledger.Use) {
		all = append(all, fmt.Sprintf("%x %s %v for %v%s", u.Account[15], u.Category, u.Price, u.Count, u.Unit))
	})
	return all
}

func TestUses(t *testing.T) {
	sms := ledger.Usage{Category: "sms", Count: money.New(5), Unit: "messages"}
	use := func(op *ledger.Transfer, u ledger.Usage) *ledger.Transfer { op.Usage = u; return op }
	d := newDesk(t, own("A"), topup("A", 100), own("B"), drawing("Ad"))
	a, ad := acc("A")[15], acc("Ad")[15]
	wants := func(e *ledger.Event, want ...string) {
		t.Helper()
		if got := uses(e); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	wants(d.as("1", use(charge("A", 3), sms), use(charge("Ad", 4), ledger.Usage{Category: "fax"}), charge("A", 1)),
		fmt.Sprintf("%x sms 3 for 5messages", a), fmt.Sprintf("%x fax 4 for 1", ad), fmt.Sprintf("%x  1 for 0", a))
	wants(d.do(use(topup("A", 9), sms)))
	wants(d.do(&ledger.Transfer{Kind: ledger.Move, From: acc("A"), To: acc("B"), Amount: money.New(1)}))
	wants(d.do(&ledger.Transfer{Kind: ledger.Adjustment, From: acc("A"), To: revenue, Amount: money.New(1), Usage: sms}))

	// Of several payees the first is counted; the price of each is in the sum.
	d.as("h", hold("h", "Ad", 30))
	pays := func(u ledger.Usage) *ledger.Capture {
		return &ledger.Capture{Hold: "h", Usage: u, To: []ledger.Payee{{To: revenue, Amount: money.New(6)}, {To: acc("B"), Amount: money.New(2)}}}
	}
	e := d.as("2", pays(sms))
	wants(e, fmt.Sprintf("%x sms 6 for 5messages", ad), fmt.Sprintf("%x sms 2 for 0messages", ad))
	if e.Transfers[1].Usage != (ledger.Usage{Category: "sms", Unit: "messages"}) {
		t.Errorf("the second payee's is %+v", e.Transfers[1])
	}
	wants(d.do(pays(ledger.Usage{Category: "sms"})), fmt.Sprintf("%x sms 6 for 1", ad), fmt.Sprintf("%x sms 2 for 0", ad))

	// A refund gives back the price.
	wants(d.do(refund("1", 2), refund("2#1", 1)), fmt.Sprintf("%x sms -2 for 0messages", a), fmt.Sprintf("%x sms -1 for 0messages", ad))
	wants(d.do(refund("1#2", 1)), fmt.Sprintf("%x  -1 for 0", a))
	d.as("in", topup("A", 5))
	wants(d.do(refund("in", 1)))

	d.no(ledger.Invalid, use(charge("A", 1), ledger.Usage{Category: "sms", Count: money.New(-1)}))
	d.no(ledger.Invalid, use(charge("A", 1), ledger.Usage{Category: "sms", Count: pow2(124, 0)}))
}

func TestUsageSums(t *testing.T) {
	sum := ledger.UsageSum{Price: pow2(124, -1), Count: money.New(1)}
	for range 20 {
		sum.Add(ledger.UsageSum{Price: pow2(124, -1), Unit: "minutes"})
	}
	if sum.Price.String() != "170141183460469231731687303715884105727" || sum.Count != money.New(1) || sum.Unit != "minutes" || sum.Mixed {
		t.Errorf("%+v", sum)
	}
	sum.Add(ledger.UsageSum{Unit: "seconds"})
	sum.Add(ledger.UsageSum{Unit: "minutes"})
	if sum.Unit != "" || !sum.Mixed {
		t.Errorf("mixed units are %+v", sum)
	}
}
