package twilio

import (
	"strconv"
	"strings"
	"time"

	"saldo/auth"
	"saldo/ledger"
	"saldo/money"
)

// total is the category that all charges are in.
const total = "totalprice"

// descriptions of categories that the vendor has. Others describe themselves.
var descriptions = map[string]string{
	total: "Total Price", "calls": "Voice Minutes", "calls-inbound": "Inbound Voice Minutes", "calls-outbound": "Outbound Voice Minutes",
	"sms": "SMS", "sms-inbound": "Inbound SMS", "sms-outbound": "Outbound SMS", "mms": "MMS", "phonenumbers": "Phone Numbers",
	"recordings": "Recordings", "recordingstorage": "Recordings Storage", "transcriptions": "Transcriptions",
	"calleridlookups": "Caller Name Lookups", "lookups": "Lookups", "credit-transfer": "Credit Transfer",
}

// A usageList is one of the lists of usage records: of the whole time that is
// asked for, of one span of the calendar, or of every day, month or year of it.
type usageList struct {
	name  string // in the path
	span  func(today ledger.Day) (from, to ledger.Day)
	every func(ledger.Day) (from, to ledger.Day) // the day, month or year that a day is in
}

// usageLists are the lists, the one without a name first. Days are those of GMT.
var usageLists = []usageList{
	{name: ""},
	{name: "AllTime"},
	{name: "Daily", every: dayOf},
	{name: "Monthly", every: monthOf},
	{name: "Yearly", every: yearOf},
	{name: "Today", span: dayOf},
	{name: "Yesterday", span: func(today ledger.Day) (from, to ledger.Day) { return today - 1, today - 1 }},
	{name: "ThisMonth", span: func(today ledger.Day) (from, to ledger.Day) { from, _ = monthOf(today); return from, today }},
	{name: "LastMonth", span: func(today ledger.Day) (from, to ledger.Day) { from, _ = monthOf(today); return monthOf(from - 1) }},
}

func usageRoutes() (all []route) {
	for i := range usageLists {
		l := &usageLists[i]
		path := "/Accounts/{}/Usage/Records"
		if l.name != "" {
			path += "/" + l.name
		}
		all = append(all, route{"GET", path, "listUsageRecord" + l.name, func(q *request) error { return q.listUsage(l) }, nil})
	}
	return all
}

func dayOf(d ledger.Day) (from, to ledger.Day) { return d, d }

func monthOf(d ledger.Day) (from, to ledger.Day) {
	y, m, _ := d.Start().Std().Date()
	return dayAt(y, m), dayAt(y, m+1) - 1
}

func yearOf(d ledger.Day) (from, to ledger.Day) {
	y := d.Start().Std().Year()
	return dayAt(y, time.January), dayAt(y+1, time.January) - 1
}

func dayAt(y int, m time.Month) ledger.Day {
	return ledger.TimeOf(time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)).Day()
}

func dayText(d ledger.Day) string { return d.Start().Std().Format(time.DateOnly) }

// parseDay reads a date, or an offset from today: -30days, +30days.
func parseDay(name, text string, today ledger.Day) (ledger.Day, error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil && t.Year() >= 1 {
		return ledger.TimeOf(t).Day(), nil
	}
	const farthest = 366 * 1000
	days, ok := strings.CutSuffix(text, "days")
	if !ok {
		days, ok = strings.CutSuffix(text, "day")
	}
	if n, err := strconv.Atoi(days); ok && err == nil && (days[0] == '-' || days[0] == '+') && -farthest <= n && n <= farthest {
		return today + ledger.Day(n), nil
	}
	return 0, invalidParameter(name + " has to be a date, YYYY-MM-DD, or an offset such as -30days")
}

// A usageQuery is what a request asks for of an account's usage.
type usageQuery struct {
	account  *ledger.Account
	unit     money.Unit
	below    bool   // and what the accounts below it used
	category string // "": each
	from, to ledger.Day
	empty    bool // no day is in it
	asOf     ledger.Time
}

// listUsage serves the lists of usage records. Each has the total first, then
// the categories that there ever were, in order, also where nothing was used.
func (q *request) listUsage(l *usageList) error {
	v, p, err := q.list()
	if err != nil {
		return err
	}
	b, err := q.account(auth.Read)
	if err != nil {
		return err
	}
	u := usageQuery{account: b.Account, unit: b.Unit, below: true, category: v.Get("Category"), asOf: b.AsOf}
	if err := checkText("Category", u.category, 64); err != nil {
		return err
	}
	if text := v.Get("IncludeSubaccounts"); text != "" {
		if u.below, err = strconv.ParseBool(strings.ToLower(text)); err != nil {
			return invalidParameter("IncludeSubaccounts has to be true or false")
		}
	}
	today := b.AsOf.Day()
	u.from, u.to = b.Account.Created.Day(), today
	if l.span != nil {
		u.from, u.to = l.span(today)
	}
	if text := v.Get("StartDate"); text != "" {
		day, err := parseDay("StartDate", text, today)
		if err != nil {
			return err
		}
		if l.span == nil && l.every == nil {
			u.from = day
		}
		u.from = max(u.from, day)
	}
	if text := v.Get("EndDate"); text != "" {
		day, err := parseDay("EndDate", text, today)
		if err != nil {
			return err
		}
		if l.span == nil && l.every == nil {
			u.to = day
		}
		u.to = min(u.to, day)
	}
	u.empty = u.from > u.to
	path := "/Usage/Records"
	if l.name != "" {
		path += "/" + l.name
	}
	out := listing{key: "usage_records", element: "UsageRecord", path: q.at(path), filters: v}
	if err := q.usagePage(l, &u, &p, &out); err != nil {
		return err
	}
	q.giveList(&out, &p)
	return nil
}

// A usagePlace is where a page of usage records begins: at a category of a day.
//
//	4 bytes of the first day | 0 the total, or 1 and the category after which
type usagePlace struct {
	day      ledger.Day
	totalled bool // the total of the day was listed
	after    string
}

func (at *usagePlace) text() string {
	d := uint32(at.day)
	s := string([]byte{byte(d >> 24), byte(d >> 16), byte(d >> 8), byte(d), 0})
	if at.totalled {
		s = s[:4] + "\x01" + at.after
	}
	return s
}

func (at *usagePlace) read(s string) bool {
	if len(s) < 5 || s[4] > 1 || s[4] == 0 && len(s) > 5 {
		return false
	}
	at.day = ledger.Day(uint32(s[0])<<24 | uint32(s[1])<<16 | uint32(s[2])<<8 | uint32(s[3]))
	at.totalled, at.after = s[4] == 1, s[5:]
	return true
}

// usagePage fills in a page: of the latest span of days first.
func (q *request) usagePage(l *usageList, u *usageQuery, p *page, out *listing) error {
	if u.empty {
		return nil
	}
	spanOf := func(day ledger.Day) (from, to ledger.Day) {
		if l.every == nil {
			return u.from, u.to
		}
		from, to = l.every(day)
		return max(from, u.from), min(to, u.to)
	}
	at := usagePlace{day: u.to}
	if p.from != "" && (!at.read(p.from) || at.day > u.to || at.day < u.from) {
		return invalidParameter("PageToken is none that this list has given")
	}
	for at.day >= u.from {
		from, to := spanOf(at.day)
		if len(out.records) == p.size {
			out.next = at.text()
			return nil
		}
		categories, more, err := q.categories(u, &at, p.size-len(out.records))
		if err != nil {
			return err
		}
		for _, category := range categories {
			sum, err := q.s.ledger.Usage(q.Context(), u.account, u.below, ledgerCategory(category), from, to)
			if err != nil {
				return err
			}
			out.records = append(out.records, resource{"UsageRecord", q.usageFields(u, category, &sum, from, to)})
		}
		if !more {
			at = usagePlace{day: from - 1}
		}
	}
	return nil
}

// ledgerCategory is what the ledger calls a category.
func ledgerCategory(category string) string {
	if category == total {
		return ""
	}
	return category
}

// categories returns the next categories of a span, at most some, moves at behind
// them, and says whether there are more.
func (q *request) categories(u *usageQuery, at *usagePlace, most int) (names []string, more bool, err error) {
	if u.category != "" {
		return []string{u.category}, false, nil
	}
	if !at.totalled {
		names = append(names, total)
		at.totalled = true
	}
	limit := most - len(names) + 1
	found, err := q.s.ledger.UsageCategories(q.Context(), u.account, u.below, at.after, limit)
	if err != nil {
		return nil, false, err
	}
	for _, name := range found {
		if len(names) == most {
			return names, true, nil
		}
		if at.after = name; name != total { // which would be the sum of all
			names = append(names, name)
		}
	}
	return names, len(found) == limit, nil
}

// usageFields is a record.
func (q *request) usageFields(u *usageQuery, category string, sum *ledger.UsageSum, from, to ledger.Day) []field {
	currency := strings.ToLower(u.unit.Code)
	description := descriptions[category]
	if description == "" {
		description = category
	}
	of := func(list, dates string) string {
		return q.at("/Usage/Records") + list + q.extension + "?Category=" + escape(category) + dates
	}
	price := sum.Price.TextMin(int(u.unit.Scale), 0)
	used := usedOf(category, sum, price, currency)
	return []field{
		{name: "account_sid", value: q.sid},
		{name: "api_version", value: version[1:]},
		{name: "as_of", value: u.asOf.Std().Format("2006-01-02T15:04:05+00:00")},
		{name: "category", value: category},
		used.count,
		{name: "count_unit", value: used.countUnit},
		{name: "description", value: description},
		{name: "end_date", value: dayText(to)},
		{name: "price", value: price},
		{name: "price_unit", value: currency},
		{name: "start_date", value: dayText(from)},
		{name: "subresource_uris", is: object, in: []field{
			{name: "all_time", value: of("/AllTime", "")}, {name: "daily", value: of("/Daily", "")},
			{name: "last_month", value: of("/LastMonth", "")}, {name: "monthly", value: of("/Monthly", "")},
			{name: "this_month", value: of("/ThisMonth", "")}, {name: "today", value: of("/Today", "")},
			{name: "yearly", value: of("/Yearly", "")}, {name: "yesterday", value: of("/Yesterday", "")},
		}},
		{name: "uri", value: of("", "&StartDate="+dayText(from)+"&EndDate="+dayText(to))},
		{name: "usage", value: used.usage},
		{name: "usage_unit", value: used.usageUnit},
	}
}

// used is how a sum is told. The total has no count, and its usage is its price,
// as the vendor's.
type used struct {
	count                       field
	countUnit, usage, usageUnit string
}

func usedOf(category string, sum *ledger.UsageSum, price, currency string) used {
	if category == total {
		return used{field{name: "count", is: null}, "", price, currency}
	}
	count := sum.Count.Text(0)
	return used{field{name: "count", value: count}, sum.Unit, count, sum.Unit}
}
