package watch

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"saldo/ledger"
	"saldo/money"
)

// A Condition is what a rule looks at.
type Condition string

const (
	BalanceBelow Condition = "balance"     // spendable, or what a vendor shows: at or below an amount, or a percentage of the last top-up
	TimeBelow    Condition = "runway"      // time left at or below a duration, by what was consumed lately
	ReadingOlder Condition = "reading_age" // of a source: the last reading is a duration old, or older
	DriftAbove   Condition = "drift"       // of a source with a mirror: the difference, either way, is an amount or more
	LimitNear    Condition = "credit_used" // of an account with a credit limit: this percentage of it is used, or more
	HoldExpired  Condition = "hold_expired"
)

var conditions = []Condition{BalanceBelow, TimeBelow, ReadingOlder, DriftAbove, LimitNear, HoldExpired}

func namesOf(all []Condition) string {
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = string(c)
	}
	return strings.Join(names, ", ")
}

// A Threshold is an amount, a percentage or a duration.
type Threshold struct {
	Amount  money.Amount // wide
	Percent int64        // hundredths of a percent, when IsPercent
	For     time.Duration
	Kind    thresholdKind
}

type thresholdKind uint8

const (
	noThreshold thresholdKind = iota
	isAmount
	isPercent
	isDuration
)

// ParseThreshold reads "12.50", "20%", "36h" or "3d".
func ParseThreshold(s string) (Threshold, error) {
	bad := fmt.Errorf("%.40q is no threshold: write an amount as 12.50, a percentage as 20%% or a time as 36h or 3d", s)
	if number, ok := strings.CutSuffix(s, "%"); ok {
		p, err := money.Parse(strings.TrimSpace(number), 2)
		n, fits := p.Int64()
		if err != nil || !fits || n < 0 || n > 100_000_00 {
			return Threshold{}, bad
		}
		return Threshold{Percent: n, Kind: isPercent}, nil
	}
	if a, err := money.Parse(s, wide); err == nil {
		return Threshold{Amount: a, Kind: isAmount}, nil
	}
	d, err := ParseDuration(s)
	if err != nil {
		return Threshold{}, bad
	}
	return Threshold{For: d, Kind: isDuration}, nil
}

// ParseDuration is time.ParseDuration that knows days too: 3d, 1d12h.
func ParseDuration(s string) (time.Duration, error) {
	days, rest, found := strings.Cut(s, "d")
	if !found {
		days, rest = "0", s
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%.40q is no time: write it as 90s, 15m, 36h or 3d", s)
	}
	var d time.Duration
	if rest != "" || !found {
		if d, err = time.ParseDuration(rest); err != nil || d < 0 {
			return 0, fmt.Errorf("%.40q is no time: write it as 90s, 15m, 36h or 3d", s)
		}
	}
	return time.Duration(n)*24*time.Hour + d, nil
}

func (t Threshold) String() string {
	switch t.Kind {
	case isAmount:
		return text(t.Amount)
	case isPercent:
		return money.New(t.Percent).TextMin(2, 0) + "%"
	case isDuration:
		return shortDuration(t.For)
	}
	return ""
}

// MarshalText is String.
func (t Threshold) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is ParseThreshold; "" is none.
func (t *Threshold) UnmarshalText(b []byte) (err error) {
	*t = Threshold{}
	if len(b) > 0 {
		*t, err = ParseThreshold(string(b))
	}
	return err
}

// shortDuration writes 3d, 36h0m0s as 1d12h, 90s as 1m30s.
func shortDuration(d time.Duration) string {
	days, rest := d/(24*time.Hour), d%(24*time.Hour)
	s := ""
	if days > 0 {
		s = strconv.FormatInt(int64(days), 10) + "d"
	}
	if rest == 0 && days > 0 {
		return s
	}
	r := rest.String()
	if strings.HasSuffix(r, "m0s") {
		r = strings.TrimSuffix(r, "0s")
	}
	if strings.HasSuffix(r, "h0m") {
		r = strings.TrimSuffix(r, "0m")
	}
	return s + r
}

// A Level is one threshold of a rule.
type Level struct {
	Name string    `json:"level"` // warning or critical
	At   Threshold `json:"at"`
}

// A Rule says what has to be true of a source or an account for somebody to know.
type Rule struct {
	ID       string
	Name     string
	Tenant   ledger.TenantID
	Source   string           // its name; "": the rule is about Account
	Account  ledger.AccountID // zero: the rule is about Source
	When     Condition
	Levels   []Level
	Clear    Threshold     // how far beyond a threshold it is good again; 5 % of it if none
	Cooldown time.Duration // the least time between two firings of a level
	Quiet    bool          // after a firing, none until the balance was topped up
	To       []string      // names of endpoints; empty: all of the tenant's
	TopUp    *TopUp        // what to do about it, beside telling
	Created  ledger.Time
}

// Check says what is wrong with a rule.
func (r *Rule) Check() error {
	if err := ValidName(r.Name); err != nil {
		return err
	}
	if (r.Source == "") == r.Account.IsZero() {
		return fmt.Errorf("a rule is about one source or one account")
	}
	if !slices.Contains(conditions, r.When) {
		return fmt.Errorf("when is %.40q; it has to be one of these: %s", r.When, namesOf(conditions))
	}
	ofSource := r.When == ReadingOlder || r.When == DriftAbove
	if ofSource && r.Source == "" || (r.When == LimitNear || r.When == HoldExpired) && r.Source != "" {
		return fmt.Errorf("a rule with when %s cannot be about that: reading_age and drift are of sources, credit_used and hold_expired of accounts", r.When)
	}
	if len(r.Levels) == 0 || len(r.Levels) > 2 {
		return fmt.Errorf("a rule has one or two levels, warning and critical")
	}
	for i, l := range r.Levels {
		if l.Name != "warning" && l.Name != "critical" || i == 1 && l.Name == r.Levels[0].Name {
			return fmt.Errorf("the level %.20q is not warning or critical, or there twice", l.Name)
		}
		if !r.takes(l.At.Kind) || l.At.Kind == isAmount && r.When == DriftAbove && l.At.Amount.Sign() <= 0 {
			return fmt.Errorf("a rule with when %s cannot have the threshold %q", r.When, l.At)
		}
	}
	if k := r.Clear.Kind; k != noThreshold && k != isPercent && !r.takes(k) || r.Clear.Amount.Sign() < 0 {
		return fmt.Errorf("clear cannot be %q in a rule with when %s", r.Clear, r.When)
	}
	if r.Cooldown < 0 || len(r.To) > 16 {
		return fmt.Errorf("cooldown cannot be negative, and an alert goes to 16 endpoints at most")
	}
	if r.TopUp != nil {
		return r.TopUp.check(r)
	}
	return nil
}

// takes reports whether a rule can have a threshold of a kind.
func (r *Rule) takes(k thresholdKind) bool {
	switch r.When {
	case BalanceBelow:
		return k == isAmount || k == isPercent
	case TimeBelow, ReadingOlder:
		return k == isDuration
	case DriftAbove:
		return k == isAmount
	case LimitNear:
		return k == isPercent
	}
	return k == noThreshold
}

// below reports whether less is worse.
func (r *Rule) below() bool { return r.When == BalanceBelow || r.When == TimeBelow }

// A Measure is what a rule finds: the same figure that its thresholds are.
type Measure struct {
	Known    bool
	Amount   money.Amount // wide; or a percentage in hundredths, or nanoseconds
	TopUp    money.Amount // wide: the last top-up, that percentages are of
	HasTopUp bool
	ToppedUp bool   // just now
	Unit     string // of amounts
	Happened int    // of a condition that is a happening: how often, just now
}

// A Standing is how far the alerts of a rule have come. It is stored.
type Standing struct {
	Levels map[string]*LevelStanding `json:"levels,omitempty"`
	Alerts uint64                    `json:"alerts"`          // that were written, resolutions too
	TopUp  string                    `json:"topup,omitempty"` // the last one, of an account
	Seq    uint64                    `json:"seq,omitempty"`   // of an account: the last event that was taken into account here
	Plan   *planStanding             `json:"plan,omitempty"`
}

// A LevelStanding is the same of one level.
type LevelStanding struct {
	Firing    bool        `json:"firing,omitempty"`
	Crossings uint64      `json:"crossings"`
	Fired     ledger.Time `json:"fired,omitempty"` // when it last did
	Quiet     bool        `json:"quiet,omitempty"` // until a top-up
}

// An Alert is a crossing, or the end of what one began.
type Alert struct {
	ID        string            `json:"id"`   // of the webhook; of its making and no other
	Type      string            `json:"type"` // as source.balance.low
	Tenant    string            `json:"tenant,omitempty"`
	Rule      string            `json:"rule"`
	RuleID    string            `json:"rule_id"`
	Level     string            `json:"level"`
	State     string            `json:"state"`    // firing or resolved
	Crossing  uint64            `json:"crossing"` // 1, 2, 3 of the rule's level; a resolution has that of its firing
	Source    string            `json:"source,omitempty"`
	Vendor    string            `json:"vendor,omitempty"`
	Account   string            `json:"account,omitempty"`
	Name      string            `json:"account_name,omitempty"` // see Named
	When      Condition         `json:"when"`
	Threshold string            `json:"threshold,omitempty"`
	Value     string            `json:"value,omitempty"`
	Unit      string            `json:"unit,omitempty"`
	Text      string            `json:"text"`
	Time      ledger.Time       `json:"-"`
	Fired     ledger.Time       `json:"-"`      // when the crossing was
	Number    uint64            `json:"number"` // of the rule's alerts: 1, 2, 3
	To        []string          `json:"-"`
	Test      bool              `json:"test,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// Judge moves a rule's standing to what a measure says, and returns the alerts
// that come of it: for each level one firing for each crossing, and one
// resolution. It is a function of its arguments.
func (r *Rule) Judge(s *Standing, at ledger.Time, m Measure) (alerts []Alert, changed bool) {
	if s.Levels == nil {
		s.Levels = make(map[string]*LevelStanding)
	}
	for _, l := range r.Levels {
		st := s.Levels[l.Name]
		if st == nil {
			st = new(LevelStanding)
			s.Levels[l.Name] = st
		}
		if m.ToppedUp && st.Quiet {
			st.Quiet, changed = false, true
		}
		if r.When == HoldExpired {
			for range m.Happened {
				st.Crossings, st.Fired, changed = st.Crossings+1, at, true
				alerts = append(alerts, r.alert(s, l, st, at, m, false))
			}
			continue
		}
		bad, good, known := r.sides(l.At, m)
		if !known {
			continue
		}
		switch {
		case !st.Firing && bad && !st.Quiet && (st.Fired == 0 || at >= st.Fired.Add(r.Cooldown)):
			st.Firing, st.Fired, st.Crossings, changed = true, at, st.Crossings+1, true
			alerts = append(alerts, r.alert(s, l, st, at, m, false))
		case st.Firing && good:
			st.Firing, st.Quiet, changed = false, r.Quiet && !m.ToppedUp, true
			alerts = append(alerts, r.alert(s, l, st, at, m, true))
		}
	}
	return alerts, changed
}

// sides reports on which side of a threshold a measure is: on the bad one, or on
// the good one beyond the margin, or between.
func (r *Rule) sides(t Threshold, m Measure) (bad, good, known bool) {
	if !m.Known {
		return false, false, false
	}
	at, ok := resolve(t, m)
	if r.When == LimitNear {
		at, ok = money.New(t.Percent), true // a share is compared with a share
	}
	if !ok {
		return false, false, false
	}
	margin, ok := r.margin(at)
	if !ok {
		return false, false, false
	}
	if r.below() {
		edge, ok := at.Add(margin)
		return !at.Less(m.Amount), ok && edge.Less(m.Amount), true
	}
	edge, ok := at.Sub(margin)
	return !m.Amount.Less(at), ok && m.Amount.Less(edge), true
}

// resolve returns a threshold in the measure's own steps.
func resolve(t Threshold, m Measure) (money.Amount, bool) {
	switch t.Kind {
	case isAmount:
		return t.Amount, true
	case isDuration:
		return money.New(int64(t.For)), true
	case isPercent:
		if !m.HasTopUp {
			return money.Amount{}, false
		}
		return m.TopUp.Percent(t.Percent, money.Floor)
	}
	return money.Amount{}, false
}

// margin returns how far beyond a threshold it is good again.
func (r *Rule) margin(at money.Amount) (money.Amount, bool) {
	switch r.Clear.Kind {
	case isAmount:
		return r.Clear.Amount, true
	case isDuration:
		return money.New(int64(r.Clear.For)), true
	}
	share := r.Clear.Percent
	if r.Clear.Kind == noThreshold {
		share = 5_00
	} else if r.When == LimitNear {
		return money.New(share), true
	}
	if at.Sign() < 0 {
		at, _ = at.Neg()
	}
	return at.Percent(share, money.Floor)
}

// alertTypes are what alerts are called in webhooks, firing and resolved.
var alertTypes = map[Condition][2]string{
	BalanceBelow: {"balance.low", "balance.recovered"},
	TimeBelow:    {"runway.short", "runway.recovered"},
	ReadingOlder: {"reading.stale", "reading.recovered"},
	DriftAbove:   {"drift.large", "drift.recovered"},
	LimitNear:    {"credit_limit.near", "credit_limit.recovered"},
	HoldExpired:  {"hold.expired", "hold.expired"},
}

// AlertTypes returns every type that an alert can have.
func AlertTypes() (all []string) {
	for _, c := range conditions {
		for _, t := range alertTypes[c] {
			for _, of := range []string{"source.", "account."} {
				if !slices.Contains(all, of+t) {
					all = append(all, of+t)
				}
			}
		}
	}
	return all
}

// alert makes the next alert of a rule.
func (r *Rule) alert(s *Standing, l Level, st *LevelStanding, at ledger.Time, m Measure, resolved bool) Alert {
	s.Alerts++
	a := Alert{Rule: r.Name, RuleID: r.ID, Level: l.Name, State: "firing", Crossing: st.Crossings, Source: r.Source, When: r.When,
		Threshold: l.At.String(), Unit: m.Unit, Time: at, Fired: st.Fired, Number: s.Alerts, To: r.To}
	subject, name := "source.", r.Source
	if r.Source == "" {
		a.Account = r.Account.String()
		subject, name = "account.", "account "+a.Account
	}
	a.Type = subject + alertTypes[r.When][0]
	if resolved {
		a.State, a.Type = "resolved", subject+alertTypes[r.When][1]
	}
	a.Value, a.Text = r.describe(m, name, a.Threshold, resolved)
	a.ID = alertID(r.ID, l.Name, st.Crossings, st.Fired, a.State)
	return a
}

// alertID is made of the crossing that an alert is about.
func alertID(rule, level string, crossing uint64, fired ledger.Time, state string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{"saldo alert", rule, level, strconv.FormatUint(crossing, 10),
		strconv.FormatInt(int64(fired), 10), state}, "\x00")))
	return "msg_" + hex.EncodeToString(sum[:15])
}

// describe says in a sentence what has happened.
func (r *Rule) describe(m Measure, name, threshold string, resolved bool) (value, sentence string) {
	unit := ""
	if m.Unit != "" {
		unit = " " + m.Unit
	}
	switch r.When {
	case BalanceBelow:
		value = text(m.Amount)
		sentence = fmt.Sprintf("%s has %s%s left, at or below %s", name, value, unit, threshold)
		if resolved {
			sentence = fmt.Sprintf("%s has %s%s again, above %s", name, value, unit, threshold)
		}
	case TimeBelow:
		n, _ := m.Amount.Int64()
		value = shortDuration(time.Duration(n).Round(time.Minute))
		sentence = fmt.Sprintf("%s lasts about %s more, not longer than %s", name, value, threshold)
		if resolved {
			sentence = fmt.Sprintf("%s lasts about %s again", name, value)
		}
	case ReadingOlder:
		n, _ := m.Amount.Int64()
		value = shortDuration(time.Duration(n).Round(time.Second))
		sentence = fmt.Sprintf("%s could not be read for %s", name, value)
		if resolved {
			sentence = fmt.Sprintf("%s can be read again", name)
		}
	case DriftAbove:
		value = text(m.Amount)
		sentence = fmt.Sprintf("%s and our own account for it differ by %s%s", name, value, unit)
		if resolved {
			sentence = fmt.Sprintf("%s and our own account for it agree again, but for %s%s", name, value, unit)
		}
	case LimitNear:
		n, _ := m.Amount.Int64()
		value = money.New(n).TextMin(2, 0) + "%"
		sentence = fmt.Sprintf("%s has used %s of its credit limit", name, value)
	case HoldExpired:
		sentence = fmt.Sprintf("a hold of %s has expired without being captured", name)
	}
	return value, sentence
}
