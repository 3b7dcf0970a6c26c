package mturk

import (
	"context"
	"strconv"
	"time"
	"unicode/utf8"

	"saldo/ledger"
)

// A HITType is what HITs have in common: what work it is and what it pays. It
// never changes; the same properties are the same type.
type HITType struct {
	ID                 string // made here
	Title              string
	Description        string
	Keywords           string
	Reward             Cents
	AutoApprovalDelay  time.Duration // whole seconds
	AssignmentDuration time.Duration
	Qualifications     []Qualification
}

// A Qualification is what a worker has to have. It is kept and shown, and decides
// the fee; no worker is asked for it here.
type Qualification struct {
	TypeID            string
	Comparator        string
	Integers          []int64
	Locales           []Locale
	RequiredToPreview *bool
	ActionsGuarded    string
}

// A Locale is a place that a worker is from.
type Locale struct{ Country, Subdivision string }

// DefaultAutoApproval is when work is approved that nobody approves, after it was
// submitted, if the requester does not say: 30 days.
const DefaultAutoApproval = 30 * 24 * time.Hour

// Bounds of what a type and a HIT have. The texts of 2017 leave some out that the
// reference of 2014-08-15 had
// (docs.aws.amazon.com/AWSMechTurk/2014-08-15/AWSMturkAPI/ApiReference_CreateHITOperation.html).
const (
	maxTitle          = 128   // characters
	maxDescription    = 2000  // characters
	maxKeywords       = 1000  // characters
	maxAnnotation     = 255   // characters
	maxFeedback       = 1024  // characters
	maxQuestion       = 65535 // bytes
	maxParameters     = 64 << 10
	maxAnswer         = 128 << 10 // bytes
	maxQualifications = 10
	maxAssignments    = 1_000_000_000
	minDuration       = 30 * time.Second
	maxDuration       = 365 * 24 * time.Hour
	overrideFor       = 30 * 24 * time.Hour
	maxToken          = 64 // characters
)

// The types of qualification that make somebody a Master, in production and in
// the sandbox.
const (
	masters        = "2F1QJWKUDD8XADTFD2Q0G6UTO95ALH"
	mastersSandbox = "2ARFPLSP75KLA8M8DH1HTEQVJT3SY6"
)

// masters reports whether only Masters may work.
func (t *HITType) masters() bool {
	for i := range t.Qualifications {
		q := &t.Qualifications[i]
		if (q.TypeID == masters || q.TypeID == mastersSandbox) && q.Comparator == "Exists" {
			return true
		}
	}
	return false
}

// check refuses what no type may have.
func (t *HITType) check() error {
	switch {
	case t.Title == "" || utf8.RuneCountInString(t.Title) > maxTitle:
		return notValid("Title", clip(t.Title))
	case t.Description == "" || utf8.RuneCountInString(t.Description) > maxDescription:
		return notValid("Description", clip(t.Description))
	case utf8.RuneCountInString(t.Keywords) > maxKeywords:
		return notValid("Keywords", clip(t.Keywords))
	case t.Reward < 0 || t.Reward > MostCents:
		return notValid("Reward", t.Reward)
	case t.AssignmentDuration < minDuration || t.AssignmentDuration > maxDuration:
		return notValid("AssignmentDurationInSeconds", seconds64(t.AssignmentDuration))
	case t.AutoApprovalDelay < 0 || t.AutoApprovalDelay > DefaultAutoApproval:
		return notValid("AutoApprovalDelayInSeconds", seconds64(t.AutoApprovalDelay))
	case len(t.Qualifications) > maxQualifications:
		return notValid("QualificationRequirements", len(t.Qualifications))
	}
	return nil
}

// clip keeps a refusal short.
func clip(s string) string {
	const most = 64
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

func seconds64(d time.Duration) int64 { return int64(d / time.Second) }

func uitoa(n uint64) string { return strconv.FormatUint(n, 10) }

// pack writes a type as its record has it.
func (t *HITType) pack(of ledger.AccountID) []byte {
	p := pack(len(t.Title) + len(t.Description) + len(t.Keywords) + 64)
	p.account(of)
	p.text(t.Title)
	p.text(t.Description)
	p.text(t.Keywords)
	p.int(int64(t.Reward))
	p.int(seconds64(t.AutoApprovalDelay))
	p.int(seconds64(t.AssignmentDuration))
	p.int(int64(len(t.Qualifications)))
	for i := range t.Qualifications {
		t.Qualifications[i].pack(&p)
	}
	return p
}

func (q *Qualification) pack(p *packer) {
	p.text(q.TypeID)
	p.text(q.Comparator)
	p.text(q.ActionsGuarded)
	switch {
	case q.RequiredToPreview == nil:
		p.int(0)
	case *q.RequiredToPreview:
		p.int(1)
	default:
		p.int(2)
	}
	p.int(int64(len(q.Integers)))
	for _, n := range q.Integers {
		p.int(n)
	}
	p.int(int64(len(q.Locales)))
	for _, l := range q.Locales {
		p.text(l.Country)
		p.text(l.Subdivision)
	}
}

func unpackHITType(id string, data []byte) (t *HITType, of ledger.AccountID, err error) {
	u := unpack(data)
	t = &HITType{ID: id}
	of = u.account()
	t.Title, t.Description, t.Keywords = u.text(), u.text(), u.text()
	t.Reward = Cents(u.int())
	t.AutoApprovalDelay = time.Duration(u.int()) * time.Second
	t.AssignmentDuration = time.Duration(u.int()) * time.Second
	for range u.count() {
		t.Qualifications = append(t.Qualifications, unpackQualification(u))
	}
	return t, of, u.err()
}

func unpackQualification(u *unpacker) (q Qualification) {
	q.TypeID, q.Comparator, q.ActionsGuarded = u.text(), u.text(), u.text()
	if n := u.int(); n != 0 {
		yes := n == 1
		q.RequiredToPreview = &yes
	}
	for range u.count() {
		q.Integers = append(q.Integers, u.int())
	}
	for range u.count() {
		q.Locales = append(q.Locales, Locale{u.text(), u.text()})
	}
	return q
}

// CreateHITType makes a type, and returns its id. The same type has the same id.
func (r *Requester) CreateHITType(ctx context.Context, t HITType) (string, error) {
	if err := t.check(); err != nil {
		return "", err
	}
	data := t.pack(r.Account)
	id := contentID(data)
	_, err := r.post(ctx, func(c *change) error {
		c.named("type", id, 0)
		return c.addType(ctx, id, data)
	})
	return id, err
}

// addType adds the writing of a type, if it is new.
func (c *change) addType(ctx context.Context, id string, data []byte) error {
	rec, err := c.r.record(ctx, kindType, id)
	if err == nil && rec == nil {
		c.write(ledger.RecordWrite{Kind: kindType, Key: id, Data: data})
	}
	return err
}

// hitType returns a type of the requester.
func (r *Requester) hitType(ctx context.Context, id string) (*HITType, error) {
	rec, err := r.record(ctx, kindType, id)
	if err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, noHITType(id)
	}
	t, of, err := unpackHITType(id, rec.Data)
	if err == nil && of != r.Account {
		return nil, noHITType(id)
	}
	return t, err
}
