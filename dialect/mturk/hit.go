package mturk

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"saldo/ledger"
)

// A HITStatus is where a HIT is in its life.
type HITStatus uint8

const (
	Assignable   HITStatus = 1 + iota // workers can accept it
	Unassignable                      // all that is left of it is being worked on
	Reviewable                        // nobody can or does work on it
	Reviewing                         // the same, and the requester said that it is at it
	Disposed                          // it is not listed any more
)

var hitStatuses = [...]string{"", "Assignable", "Unassignable", "Reviewable", "Reviewing", "Disposed"}

func (s HITStatus) String() string { return hitStatuses[s] }

// A HIT is a task as its requester sees it.
type HIT struct {
	ID      string
	Type    *HITType
	GroupID string
	Content
	Created, Expires ledger.Time
	Status           HITStatus
	MaxAssignments   int64
	Pending          int64 // accepted and not submitted
	Available        int64 // not accepted
	Submitted        int64 // to be approved or rejected; in none of the counts that the service shows
	Completed        int64 // approved or rejected
}

// Content is what a HIT has for itself. It never changes.
type Content struct {
	Question         string // XML
	LayoutID         string
	LayoutParameters []LayoutParameter
	Annotation       string
}

// A LayoutParameter fills in a layout.
type LayoutParameter struct{ Name, Value string }

// A NewHIT is what CreateHIT is asked for: with a type's id, or with a new type.
type NewHIT struct {
	TypeID string
	Type   *HITType // if TypeID is ""
	Content
	MaxAssignments int64
	Lifetime       time.Duration
	Token          string // UniqueRequestToken; "": none
}

// A hit is the record of a HIT: what changes, and what money needs.
type hit struct {
	id      string
	version uint64
	account ledger.AccountID
	typeID  string
	hold    string // what its money is on hold in, while held > 0
	created ledger.Time
	expires ledger.Time
	quiet   ledger.Time // since when it is to be reviewed; 0: it is not
	max     int64       // assignments, in all
	first   int64       // with how many it was created: they decide the fee
	pending int64
	submitted,
	approved,
	rejected int64
	held      int64 // assignments that money is on hold for
	reward    Cents
	fee       Cents // of each assignment
	expired   bool  // the deadline was noted
	reviewing bool
	disposed  bool
	disabled  bool // what is submitted is approved, and then it is disposed of
	content   bool // there is a record of it
}

func (h *hit) pack() []byte {
	p := pack(192)
	p.account(h.account)
	p.text(h.typeID)
	p.text(h.hold)
	p.time(h.created)
	p.time(h.expires)
	p.time(h.quiet)
	for _, n := range [...]int64{h.max, h.first, h.pending, h.submitted, h.approved, h.rejected, h.held, int64(h.reward), int64(h.fee)} {
		p.int(n)
	}
	for _, b := range [...]bool{h.expired, h.reviewing, h.disposed, h.disabled, h.content} {
		p.bool(b)
	}
	return p
}

func unpackHIT(id string, version uint64, data []byte) (*hit, error) {
	u := unpack(data)
	h := &hit{id: id, version: version, account: u.account(), typeID: u.text(), hold: u.text(),
		created: u.time(), expires: u.time(), quiet: u.time()}
	for _, n := range [...]*int64{&h.max, &h.first, &h.pending, &h.submitted, &h.approved, &h.rejected, &h.held, (*int64)(&h.reward), (*int64)(&h.fee)} {
		*n = u.int()
	}
	for _, b := range [...]*bool{&h.expired, &h.reviewing, &h.disposed, &h.disabled, &h.content} {
		*b = u.bool()
	}
	return h, u.err()
}

// available is how many assignments nobody has accepted.
func (h *hit) available() int64 { return h.max - h.pending - h.submitted - h.approved - h.rejected }

// status is where the HIT is. It changes with events alone, for what is due is
// done first.
func (h *hit) status() HITStatus {
	switch {
	case h.disposed, h.disabled:
		return Disposed
	case !h.expired && h.available() > 0:
		return Assignable
	case h.pending > 0:
		return Unassignable
	case h.reviewing:
		return Reviewing
	}
	return Reviewable
}

// owed is how many assignments may still have to be paid.
func (h *hit) owed() int64 {
	if h.expired {
		return h.pending + h.submitted
	}
	return h.max - h.approved - h.rejected
}

// each is what one assignment costs.
func (h *hit) each() Cents { return h.reward + h.fee }

// deadline is when something is to be done about the HIT: it expires, it was to
// be reviewed for long enough, what is left of a disabled one is approved, or
// more is on hold than is needed, or less.
func (h *hit) deadline(now ledger.Time, keepFor time.Duration) ledger.Time {
	at := ledger.Time(0)
	switch {
	case h.disabled && h.submitted > 0:
		at = now.Add(disableEvery)
	case h.disposed, h.disabled:
	case !h.expired:
		at = h.expires
	case h.quiet != 0:
		at = h.quiet.Add(keepFor)
	}
	if again := now.Add(postponed); h.held != h.owed() && (at == 0 || again < at) {
		return again
	}
	return at
}

// index returns what the HIT is found by.
func (h *hit) index() []ledger.IndexEntry {
	s := h.status()
	if s == Disposed {
		return nil
	}
	mine := ledger.IndexEntry{Name: indexRequester, Value: requesterIndex(h.account)}
	if s != Reviewable && s != Reviewing {
		return []ledger.IndexEntry{mine}
	}
	review := reviewIndex(s, h.account)
	return []ledger.IndexEntry{mine, {Name: indexReview, Value: review}, {Name: indexReviewOf, Value: review + h.typeID}}
}

// requesterIndex is the value of the HITs of an account. It is in many keys, and so
// it is short.
func requesterIndex(account ledger.AccountID) string {
	return base64.RawURLEncoding.EncodeToString(account[:])
}

// reviewIndex is the value of the HITs of an account that are to be reviewed.
func reviewIndex(s HITStatus, account ledger.AccountID) string {
	if s == Reviewing {
		return "G" + requesterIndex(account)
	}
	return "V" + requesterIndex(account)
}

// hit returns the record of a HIT of the requester.
func (r *Requester) hit(ctx context.Context, id string) (*hit, error) {
	rec, err := r.record(ctx, kindHIT, id)
	if err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, noHIT(id)
	}
	h, err := unpackHIT(id, rec.Version, rec.Data)
	if err == nil && h.account != r.Account {
		return nil, noHIT(id)
	}
	return h, err
}

// save adds the writing of a HIT that was changed, after paid of its assignments
// were paid in this command: its money, its record, its requester's counters.
// Was is as it was before; nil: it is new.
func (c *change) save(ctx context.Context, was, h *hit, paid int64) error {
	switch s := h.status(); s {
	case Reviewable, Reviewing:
		if h.quiet == 0 {
			h.quiet = c.now
		}
	default:
		h.quiet, h.reviewing = 0, false
	}
	c.cover(h, paid, was == nil || was.owed() < h.owed())
	c.write(ledger.RecordWrite{Kind: kindHIT, Key: h.id, Expect: h.version, Fresh: was == nil, Cold: h.owed() == 0,
		Data: h.pack(), Index: h.index(), Deadline: h.deadline(c.now, c.r.d.o.KeepFor)})
	return c.count(ctx, was, h)
}

// covered reports whether what the HIT may cost is on hold, and notes the hold. It is
// not if somebody else has ended that, and there was no money for another.
func (c *change) covered(h *hit) bool {
	c.hold = h.hold
	return h.held > 0 && (c.gone == "" || h.hold != c.gone)
}

// cover adds what keeps on hold what the HIT may cost, after paid of its assignments
// were paid out of it. It may come to cost more, or it may not.
func (c *change) cover(h *hit, paid int64, more bool) {
	need, have := h.owed(), h.held-paid
	if !c.covered(h) {
		have = 0
	}
	amount := func(n int64) *ledger.PlaceHold {
		return &ledger.PlaceHold{Account: h.account, Amount: h.each().steps(n, c.r.scale), Expires: ledger.Lifetime{Never: true}}
	}
	switch {
	case h.each() == 0, need == have:
	case have == 0 && c.loose && !more:
		need = 0
	case have == 0:
		c.Ops = append(c.Ops, amount(need))
		h.hold, c.shrunk = c.ID, !more
	case need > have:
		c.Ops = append(c.Ops, &ledger.Raise{Hold: h.hold, Amount: h.each().steps(need-have, c.r.scale)})
	case need == 0:
		c.Ops = append(c.Ops, &ledger.Release{Hold: h.hold, NoMove: true})
	case c.loose:
		need = have
	default: // a hold is released as a whole
		c.Ops = append(c.Ops, &ledger.Release{Hold: h.hold, NoMove: true}, amount(need))
		h.hold, c.shrunk = c.ID, true
	}
	if h.held = need; need == 0 {
		h.hold = ""
	}
}

// Counters of a requester.
const (
	countHITs       = "hits" // that are not disposed of
	countReviewable = "reviewable"
	countReviewing  = "reviewing"
)

// count adds what a change of a HIT is to its requester's counters.
func (c *change) count(ctx context.Context, was, is *hit) error {
	if was != nil && was.status() == is.status() {
		return nil
	}
	var add []ledger.Counter
	by := func(h *hit, n int64) {
		if h == nil || h.status() == Disposed {
			return
		}
		add = append(add, ledger.Counter{Name: countHITs, Value: n})
		switch h.status() {
		case Reviewable:
			add = append(add, ledger.Counter{Name: countReviewable, Value: n})
		case Reviewing:
			add = append(add, ledger.Counter{Name: countReviewing, Value: n})
		}
	}
	by(was, -1)
	by(is, 1)
	if add = summed(add); len(add) == 0 {
		return nil
	}
	rec, err := c.r.record(ctx, kindRequester, is.account.String())
	if err != nil {
		return err
	}
	w := ledger.RecordWrite{Kind: kindRequester, Key: is.account.String(), Counters: add}
	if rec != nil {
		w.Keep, w.Expect = true, ledger.AnyVersion
	}
	c.write(w)
	return nil
}

// summed returns counters with those of one name summed, without zeros.
func summed(counters []ledger.Counter) (sums []ledger.Counter) {
next:
	for _, c := range counters {
		for i := range sums {
			if sums[i].Name == c.Name {
				sums[i].Value += c.Value
				continue next
			}
		}
		sums = append(sums, c)
	}
	n := 0
	for _, c := range sums {
		if c.Value != 0 {
			sums[n] = c
			n++
		}
	}
	return sums[:n]
}

// CreateHIT makes a HIT, and sets aside what it may cost.
func (r *Requester) CreateHIT(ctx context.Context, in NewHIT) (*HIT, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	var typeData []byte
	if in.TypeID == "" {
		if err := in.Type.check(); err != nil {
			return nil, err
		}
		typeData = in.Type.pack(r.Account)
	}
	var made *HIT
	e, err := r.post(ctx, func(c *change) (err error) {
		if err := c.once(ctx, tokenCreateHIT, in.Token, alreadyExists); err != nil {
			return err
		}
		var t *HITType
		if typeData != nil {
			own := *in.Type
			t, own.ID = &own, contentID(typeData)
			err = c.addType(ctx, own.ID, typeData)
		} else {
			t, err = r.hitType(ctx, in.TypeID)
		}
		if err == nil {
			made, err = c.newHIT(ctx, &in, t)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.created(ctx, e, made)
}

// newHIT adds the making of a HIT.
func (c *change) newHIT(ctx context.Context, in *NewHIT, t *HITType) (*HIT, error) {
	h := &hit{id: newID(c.r.d.l.NewID(), c.now, c.r.book, true), account: c.r.Account, typeID: t.ID,
		created: c.now, expires: c.now.Add(in.Lifetime), max: in.MaxAssignments, first: in.MaxAssignments,
		reward: t.Reward, fee: c.r.d.fees.ofReward(t.Reward, in.MaxAssignments, t.masters())}
	c.named("create", h.id, 0)
	if in.Token != "" {
		c.remember(tokenCreateHIT, in.Token, h.id)
	}
	if data := in.Content.pack(); data != nil {
		h.content = true
		c.write(ledger.RecordWrite{Kind: kindContent, Key: h.id, Fresh: true, Cold: true, Data: data})
	}
	if err := c.save(ctx, nil, h, 0); err != nil {
		return nil, err
	}
	made := h.shown()
	made.Type, made.Content = t, in.Content
	return made, nil
}

// created returns the HIT that an event made, as it was then: the one that was
// made now or, if the call was answered before, the one of that time.
func (r *Requester) created(ctx context.Context, e *ledger.Event, made *HIT) (*HIT, error) {
	for i := range e.Records {
		if ch := &e.Records[i]; ch.Kind == kindHIT {
			if made != nil && ch.Key == made.ID {
				return made, nil
			}
			h, err := unpackHIT(ch.Key, ch.Version, ch.Data)
			if err != nil {
				return nil, err
			}
			return r.show(ctx, h)
		}
	}
	return nil, ledger.Errorf(ledger.Internal, "the event of a call made no HIT")
}

// check refuses what no HIT may have.
func (in *NewHIT) check() error {
	switch {
	case in.MaxAssignments < 1 || in.MaxAssignments > maxAssignments:
		return notValid("MaxAssignments", in.MaxAssignments)
	case in.Lifetime < minDuration || in.Lifetime > maxDuration:
		return notValid("LifetimeInSeconds", seconds64(in.Lifetime))
	case utf8.RuneCountInString(in.Annotation) > maxAnnotation:
		return notValid("RequesterAnnotation", clip(in.Annotation))
	case (in.Question == "") == (in.LayoutID == ""):
		return notValid("Question", clip(in.Question)) // exactly one has to be there
	case in.LayoutID == "" && len(in.LayoutParameters) > 0:
		return notValid("HITLayoutParameters", len(in.LayoutParameters))
	case len(in.Question) > maxQuestion:
		return notValid("Question", clip(in.Question))
	}
	size := 0
	for _, l := range in.LayoutParameters {
		size += len(l.Name) + len(l.Value)
	}
	if size > maxParameters {
		return notValid("HITLayoutParameters", len(in.LayoutParameters))
	}
	return checkQuestion(in.Question)
}

// checkQuestion refuses a question that is not well-formed XML, or not one of
// the three documents that there are.
func checkQuestion(question string) error {
	if question == "" {
		return nil
	}
	root, plain := plainXML(question)
	if !plain {
		root = rootOf(question)
	}
	switch root {
	case "QuestionForm", "ExternalQuestion", "HTMLQuestion":
		return nil
	}
	return badQuestion()
}

// rootOf returns the root element of a document, "" if it is not well-formed.
func rootOf(doc string) (root string) {
	d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(doc, "\ufeff")))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it came as UTF-8
	var open []xml.Name
	for { // RawToken takes half as long as Token, which looks for names' spaces
		token, err := d.RawToken()
		if err == io.EOF && len(open) == 0 {
			return root
		}
		if err != nil {
			return ""
		}
		switch token := token.(type) {
		case xml.CharData:
			if len(open) == 0 && !isBlank(string(token)) {
				return ""
			}
		case xml.StartElement:
			if len(open) == 0 && root != "" {
				return ""
			}
			if root == "" {
				root = token.Name.Local
			}
			open = append(open, token.Name)
		case xml.EndElement:
			last := len(open) - 1
			if last < 0 || open[last] != token.Name {
				return ""
			}
			open = open[:last]
		}
	}
}

func badQuestion() *Refused {
	return &Refused{Code: codeXMLParse, Text: "There was an error parsing the XML question or answer data in your request.  Please make sure the data is well-formed and validates against the appropriate schema."}
}

// pack writes a content as its record has it; nil if there is none.
func (in *Content) pack() []byte {
	if in.Question == "" && in.LayoutID == "" && in.Annotation == "" {
		return nil
	}
	p := pack(len(in.Question) + len(in.LayoutID) + len(in.Annotation) + 16)
	p.text(in.Question)
	p.text(in.LayoutID)
	p.text(in.Annotation)
	p.int(int64(len(in.LayoutParameters)))
	for _, l := range in.LayoutParameters {
		p.text(l.Name)
		p.text(l.Value)
	}
	return p
}

func unpackContent(data []byte) (c Content, err error) {
	u := unpack(data)
	c.Question, c.LayoutID, c.Annotation = u.text(), u.text(), u.text()
	for range u.count() {
		c.LayoutParameters = append(c.LayoutParameters, LayoutParameter{u.text(), u.text()})
	}
	return c, u.err()
}

// shown returns what a record says of a HIT, without type and content.
func (h *hit) shown() *HIT {
	return &HIT{ID: h.id, GroupID: groupOf(h.typeID), Created: h.created, Expires: h.expires, Status: h.status(), MaxAssignments: h.max,
		Pending: h.pending, Available: h.available(), Submitted: h.submitted, Completed: h.approved + h.rejected}
}

// show returns a HIT as its requester sees it.
func (r *Requester) show(ctx context.Context, h *hit) (*HIT, error) {
	shown := h.shown()
	var err error
	if shown.Type, err = r.hitType(ctx, h.typeID); err != nil {
		return nil, err
	}
	if h.content {
		rec, err := r.record(ctx, kindContent, h.id)
		if err != nil || rec == nil {
			return nil, errors.Join(err, errRecord)
		}
		if shown.Content, err = unpackContent(rec.Data); err != nil {
			return nil, err
		}
	}
	return shown, nil
}

// groupOf returns the group that HITs of a type are in.
func groupOf(typeID string) string { return contentID([]byte("group " + typeID)) }

// GetHIT returns a HIT.
func (r *Requester) GetHIT(ctx context.Context, id string) (*HIT, error) {
	if _, err := r.d.settle(ctx); err != nil {
		return nil, err
	}
	h, err := r.hit(ctx, id)
	if err != nil {
		return nil, err
	}
	return r.show(ctx, h)
}

// Balance returns the balance of the requester's account, after what is due.
func (r *Requester) Balance(ctx context.Context) (ledger.Balance, error) {
	return r.d.Balance(ctx, r.Account)
}

// Balance returns the balance of an account, after what is due.
func (d *Desk) Balance(ctx context.Context, account ledger.AccountID) (ledger.Balance, error) {
	if _, err := d.settle(ctx); err != nil {
		return ledger.Balance{}, err
	}
	return d.l.Balance(ctx, account)
}
