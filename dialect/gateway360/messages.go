package gateway360

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"saldo/auth"
	"saldo/ledger"
	"saldo/money"
)

// Bounds of messages. That of a request is what a public client keeps to.
const (
	maxMessages  = 1000
	maxCustom    = 32 // characters
	maxSMSID     = 32
	maxParts     = 3 // of a text: 459 characters
	maxReportURL = 2048
)

const (
	// A server that stops waits for both of these.
	handOver  = 10 * time.Second // how long a sink may take
	finishing = 10 * time.Second // how long what was begun may take, when its caller is gone
	holdLife  = 24 * time.Hour   // of what is set aside for messages whose outcome nobody wrote down
)

// Encodings of texts.
const (
	gsm7 = "GSM7"
	ucs2 = "UCS2"
)

// A Message is one of a request, as it goes on to a sink.
type Message struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Text   string `json:"text"`
	Custom string `json:"custom,omitempty"`
	SendAt string `json:"send_at,omitempty"`
}

// A Batch is messages that are sent together.
type Batch struct {
	Messages  []Message
	ReportURL string // who wants to know what became of them
	Concat    bool   // a text may take more than one part
	Encoding  string // GSM7 or UCS2
}

// A Sent is what became of a message.
type Sent struct {
	SMSID    string `json:"sms_id,omitempty"`   // of one that was taken; "": the sink has none for it
	ErrorID  string `json:"error_id,omitempty"` // "": it was taken
	ErrorMsg string `json:"error_msg,omitempty"`
}

// A Sink is where messages go that are paid for. Send takes them and says what
// became of each, in their order; by an error, that it took none or, if that is
// an ErrUnknown, that nobody knows.
type Sink interface {
	Send(context.Context, *Batch) ([]Sent, error)
}

// ErrUnknown says that messages may have been taken, or not.
var ErrUnknown = errors.New("gateway360: it is not known whether the messages were taken")

// A LogSink writes messages to a log, texts too, and sends nothing: for trials.
type LogSink struct{ Logger *slog.Logger }

// Send logs messages.
func (l LogSink) Send(_ context.Context, b *Batch) ([]Sent, error) {
	for _, m := range b.Messages {
		l.Logger.Info("message", "from", m.From, "to", m.To, "text", m.Text, "custom", m.Custom, "send_at", m.SendAt)
	}
	return make([]Sent, len(b.Messages)), nil
}

// An item is a message of a request, what it costs, and what became of it.
type item struct {
	Message
	parts int64
	price money.Amount
	Sent
}

func (it *item) open() bool { return it.ErrorID == "" }

func (it *item) refuse(id, message string) { it.Sent = Sent{ErrorID: id, ErrorMsg: message} }

func (it *item) refuseFunds() { it.refuse(idFunds, faultOf(idFunds).message) }

// A sending is a request to send messages.
type sending struct {
	*call
	account *ledger.Account
	unit    money.Unit
	batch   Batch // but for its messages, which are in items
	items   []item
	fake    bool   // it only looks as if they were sent
	id      string // of the command that sets money aside
	once    bool   // a repeat is answered as the first was
	asked   []byte // what tells two requests with one id apart
}

// send is sms/send. What the messages cost is set aside in one command; what the
// sink takes is paid from it, in another, and the rest is free again. So nobody
// sends what is not paid for, nobody pays for what was not taken, and what is set
// aside by a server that stopped midway is free again after a day.
func (s *server) send(c *call) error {
	q := &sending{call: c}
	err := q.decode()
	if err == nil {
		q.account, q.unit, err = s.holder(c)
	}
	switch {
	case err != nil:
		return err
	case q.fake:
		if err := s.check(q); err != nil {
			return err
		}
	case s.sink == nil:
		return refuse(idNoSink, "")
	default:
		if done, err := s.repeat(q); done || err != nil {
			return err
		}
		if err := s.check(q); err != nil {
			return err
		}
		if err := s.charge(q); err != nil {
			return err
		}
	}
	q.answer()
	return nil
}

// decode reads what a request says of all its messages, and each message.
func (q *sending) decode() (err error) {
	var messages, reportURL, concat, encoding, fake param
	q.read(wanted{"messages", &messages}, wanted{"report_url", &reportURL}, wanted{"concat", &concat},
		wanted{"encoding", &encoding}, wanted{"fake", &fake})
	switch {
	case messages.json == nil:
		return refuse(idMissing, "")
	case messages.twice || messages.json[0] != '[':
		return refuse(idBad, "Parameter `messages` must be an array.")
	}
	if q.batch.ReportURL, err = reportURL.text("report_url"); err != nil {
		return err
	}
	if u := q.batch.ReportURL; len(u) > maxReportURL || u != "" && !strings.HasPrefix(u, "http://") && !strings.HasPrefix(u, "https://") {
		return refuse(idBad, "Parameter `report_url` must be a URL.")
	}
	if q.batch.Concat, err = concat.flag("concat"); err != nil {
		return err
	}
	switch q.batch.Encoding, err = encoding.text("encoding"); {
	case err != nil:
		return err
	case q.batch.Encoding == "":
		q.batch.Encoding = gsm7
	case q.batch.Encoding != gsm7 && q.batch.Encoding != ucs2:
		return refuse(idBad, "Parameter `encoding` must be GSM7 or UCS2.")
	}
	if q.fake, err = fake.flag("fake"); err != nil {
		return err
	}
	for value := range elements(messages.json) {
		if len(q.items) == maxMessages {
			return errMessages
		}
		q.items = append(q.items, readItem(value))
	}
	if len(q.items) == 0 {
		return errMessages
	}
	return nil
}

var errMessages = refuse(idBad, "Parameter `messages` must have 1 to 1000 items.")

// readItem reads one message. What is wrong with it is in what became of it.
func readItem(value []byte) (it item) {
	if value[0] != '{' {
		it.refuse(idBad, "A message must be an object.")
		return it
	}
	var from, to, text, custom, sendAt param
	read(value, wanted{"from", &from}, wanted{"to", &to}, wanted{"text", &text}, wanted{"custom", &custom}, wanted{"send_at", &sendAt})
	for _, m := range []struct {
		name string
		*param
		to    *string
		fault string // of what cannot be read
	}{
		{"custom", &custom, &it.Custom, idBad}, {"from", &from, &it.From, idSender}, {"to", &to, &it.To, idDestination},
		{"text", &text, &it.Text, idBad}, {"send_at", &sendAt, &it.SendAt, idDateTime},
	} {
		said, err := m.scalar(m.name)
		if err == nil && m.name == "custom" && utf8.RuneCountInString(said) > maxCustom {
			said, err = "", refuse(idBad, "Parameter `custom` must have up to 32 characters.")
		}
		var r *refusal
		if errors.As(err, &r) && it.open() {
			it.refuse(m.fault, r.text())
		}
		*m.to = said
	}
	return it
}

// check looks at the messages, and finds what each costs.
func (s *server) check(q *sending) error {
	for i := range q.items {
		it := &q.items[i]
		if it.check(&q.batch); !it.open() {
			continue
		}
		if err := s.price(q, it); err != nil {
			return err
		}
		if it.open() {
			it.SMSID = newSMSID(s.ledger)
		}
	}
	return nil
}

// check refuses a message that cannot be sent as it stands.
func (it *item) check(b *Batch) {
	switch {
	case !it.open():
		return
	case !isSender(it.From):
		it.refuse(idSender, "The sender must be up to 15 digits, or up to 11 letters and digits.")
	case len(it.To) < 7 || len(it.To) > maxDigits || !isDigits(it.To) || it.To[0] == '0':
		it.refuse(idDestination, "The destination must be an international number: 7 to 15 digits, without a plus.")
	case it.Text == "":
		it.refuse(idMissing, "The message has no text.")
	case it.SendAt != "" && !isDateTime(it.SendAt):
		it.refuse(idDateTime, "The format must be: YYYY-MM-DD HH:MM:SS")
	}
	if it.parts = parts(it.Text, b.Encoding, b.Concat); it.open() && it.parts == 0 {
		it.refuse(idBad, "The text is longer than a message: shorten it or, up to three messages, set `concat` to 1.")
	}
}

// price finds what a message costs. Where there is no price list at all, one may
// still be faked.
func (s *server) price(q *sending, it *item) error {
	p := s.prices.of(q.unit.Code, it.To)
	if p == nil {
		if !q.fake || len(s.prices.all) > 0 {
			it.refuse(idDestination, "No messages are sent to this destination.")
		}
		return nil
	}
	each, err := p.in(q.unit)
	if err != nil {
		return err
	}
	var ok bool
	if it.price, ok = each.MulRatio(it.parts, 1, money.Floor); !ok {
		return ledger.Errorf(ledger.Overflow, "the price of %d messages is too large", it.parts)
	}
	return nil
}

func newSMSID(l *ledger.Ledger) string { return strings.ReplaceAll(l.NewID().String(), "-", "") }

// isSender reports whether a message may come from someone of that name.
func isSender(s string) bool {
	if isDigits(s) {
		return len(s) <= maxDigits
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == ' ' || c == '.' || c == '-' || c == '_') {
			return false
		}
	}
	return strings.TrimSpace(s) != "" && len(s) <= 11
}

func isDateTime(s string) bool {
	_, err := time.Parse(time.DateTime, s)
	return err == nil && len(s) == len(time.DateTime)
}

// parts returns of how many messages a text consists, each of which is paid for:
// one of 160 characters of GSM 03.38, or up to three of 153 that belong together;
// in UCS-2 of 70 and 67. It is 0 if the text is too long. A character that
// GSM 03.38 lacks counts as the one that takes its place. One that takes the room
// of two is in one part or the next, never in both.
func parts(text, encoding string, concat bool) int64 {
	alone, joined := 160, 153
	if encoding == ucs2 {
		alone, joined = 70, 67
	}
	all, used, n := 0, 0, int64(1) // used: of the nth part
	for _, r := range text {
		width := 1
		if encoding == ucs2 {
			width = utf16.RuneLen(r)
		} else if strings.ContainsRune("^{}\\[~]|€\f", r) { // of the extension table
			width = 2
		}
		all += width
		if used += width; used > joined {
			n, used = n+1, width
		}
	}
	switch {
	case all <= alone:
		return 1
	case !concat || n > maxParts:
		return 0
	}
	return n
}

// charge sets aside what the messages cost, hands them on, and pays for those
// that were taken.
func (s *server) charge(q *sending) error {
	if done, err := s.setAside(q); done || err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(q.Context()), handOver)
	err := s.handOn(ctx, q)
	cancel()
	if errors.Is(err, ErrUnknown) { // what they cost stays set aside, until somebody finds out or a day has gone
		return nil
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(q.Context()), finishing)
	defer cancel()
	if err := s.pay(ctx, q); err != nil {
		// They are sent: to say anything else would have them sent again.
		s.o.Logger.Error("messages were sent, and what they cost was not taken: capture or release the hold, if it is open", "dialect", auth.Gateway360,
			"account", q.account.ID, "hold", q.id, "error", err)
	}
	return nil
}

// setAside sets the sum of the prices aside. Where there is less, messages are
// left out from the first that it does not reach for: those who come later and
// cost less may still have their turn. Each was refused by what there was at that
// moment. Done says that no message is left.
func (s *server) setAside(q *sending) (done bool, err error) {
	for {
		total, n, err := q.total()
		if n == 0 || err != nil {
			return true, err
		}
		res, err := s.post(q.call, q.account, &ledger.Command{ID: q.id, Asked: q.asked, Ops: []ledger.Op{
			&ledger.PlaceHold{Account: q.account.ID, Amount: total, Expires: ledger.Lifetime{For: holdLife}, Text: noteOf("sms/send")}}})
		var e *ledger.Error
		switch {
		case err == nil && res.Replayed: // by the same request, just now
			return true, errMidway
		case !errors.As(err, &e) || e.Code != ledger.Insufficient:
			return false, err
		}
		q.fit(e.Spendable)
	}
}

// total returns what the open messages cost, and how many they are.
func (q *sending) total() (sum money.Amount, parts int64, err error) {
	for i := range q.items {
		if it := &q.items[i]; it.open() {
			var ok bool
			if sum, ok = sum.Add(it.price); !ok {
				return sum, 0, ledger.Errorf(ledger.Overflow, "the price of the messages is too large")
			}
			parts += it.parts
		}
	}
	return sum, parts, nil
}

// fit refuses the messages that an amount does not reach for.
func (q *sending) fit(left money.Amount) {
	for i := range q.items {
		it := &q.items[i]
		if !it.open() {
			continue
		}
		if left.Less(it.price) {
			it.refuseFunds()
			continue
		}
		left, _ = left.Sub(it.price) // which is not more
	}
}

// handOn gives the open messages to the sink, whose error it returns. Those of
// which it does not say that it took them are refused.
func (s *server) handOn(ctx context.Context, q *sending) error {
	batch := q.batch
	var open []*item
	for i := range q.items {
		if it := &q.items[i]; it.open() {
			open = append(open, it)
			batch.Messages = append(batch.Messages, it.Message)
		}
	}
	sent, err := s.sink.Send(ctx, &batch)
	if err == nil && len(sent) != len(open) {
		err = fmt.Errorf("%w: %d messages have %d answers", ErrUnknown, len(open), len(sent))
	}
	why := "The message could not be handed on, and costs nothing."
	switch {
	case errors.Is(err, ErrUnknown):
		why = "It is not known whether the message was taken. What it costs is set aside for a day."
		s.o.Logger.Error("it is not known whether messages were sent, and what they cost is on hold for a day: capture or release it", "dialect", auth.Gateway360,
			"account", q.account.ID, "hold", q.id, "messages", len(open), "error", err)
	case err != nil:
		s.o.Logger.Error("messages could not be handed on; nothing is charged", "dialect", auth.Gateway360, "account", q.account.ID, "messages", len(open), "error", err)
	}
	for i, it := range open {
		switch {
		case err != nil:
			it.refuse(idBusy, why)
		case sent[i].ErrorID == idSender || sent[i].ErrorID == idDestination || sent[i].ErrorID == idDateTime:
			it.refuse(sent[i].ErrorID, "Where messages go this one was refused. It costs nothing.")
		case sent[i].ErrorID != "": // whatever it is, it is not this customer's
			s.o.Logger.Error("a message was refused where messages go", "dialect", auth.Gateway360, "account", q.account.ID, "error_id", sent[i].ErrorID, "error_msg", sent[i].ErrorMsg)
			it.refuse(idBusy, "The message could not be handed on, and costs nothing.")
		case sent[i].SMSID != "" && len(sent[i].SMSID) <= maxSMSID:
			it.SMSID = sent[i].SMSID // by which reports will name it
		}
	}
	return err
}

// pay pays what the messages cost that were taken, and frees what is left.
func (s *server) pay(ctx context.Context, q *sending) error {
	total, n, err := q.total()
	if err != nil {
		return err
	}
	cmd := q.paying()
	if q.once {
		became := make([]Sent, len(q.items))
		for i := range q.items {
			became[i] = q.items[i].Sent
		}
		data, err := json.Marshal(became)
		if err != nil {
			return err
		}
		cmd.Answer = &ledger.Text{Data: data}
	}
	revenue := ledger.SystemID(q.account.Book, q.account.Unit, ledger.Revenue)
	usage := ledger.Usage{Category: "sms", Count: money.New(n), Unit: "messages"}
	if n == 0 {
		cmd.Ops = []ledger.Op{&ledger.Release{Hold: q.id}}
	} else {
		cmd.Ops = []ledger.Op{&ledger.Capture{Hold: q.id, To: []ledger.Payee{{To: revenue, Amount: total}}, Final: true, Text: noteOf("sms/send"), Usage: usage}}
	}
	for try := time.Duration(1); ; try *= 2 {
		_, err := s.ledger.Post(ctx, cmd)
		switch code := ledger.CodeOf(err); {
		case (code == ledger.HoldClosed || code == ledger.HoldExpired) && n > 0: // by somebody else, meanwhile
			cmd.Ops = []ledger.Op{&ledger.Transfer{Kind: ledger.Charge, From: q.account.ID, To: revenue, Amount: total, Text: noteOf("sms/send"), Usage: usage}}
			continue
		case code == ledger.IDTaken && cmd.ID != "": // by somebody who has seen the hold, for something else
			cmd.ID = ""
			continue
		case !code.Retryable():
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(try * 10 * time.Millisecond):
		}
	}
}

// paying returns the command that ends what setAside began, without what it does.
func (q *sending) paying() *ledger.Command {
	return &ledger.Command{Tenant: q.account.Tenant, Book: q.account.Book, Actor: q.cred.Number, ID: q.id + "-paid", Asked: q.asked}
}

// repeat gives a request its id. If an earlier one with the same Idempotency-Key
// was carried out, it is answered as that was, and done.
func (s *server) repeat(q *sending) (done bool, err error) {
	if q.id, err = q.onceID(q.account.ID); err != nil {
		return false, err
	}
	if q.id == "" {
		q.id = "gateway360-" + newSMSID(s.ledger)
		return false, nil
	}
	q.once, q.asked = true, q.fingerprint()
	first, err := s.was(q, &ledger.Command{ID: q.id, Asked: q.asked})
	if first == nil || err != nil {
		return false, err
	}
	e, err := s.was(q, q.paying())
	switch {
	case err != nil:
		return false, err
	case e == nil:
		return false, errMidway
	}
	data, err := s.ledger.Text(q.Context(), q.account.Book, ledger.TextAt{Seq: e.Seq, N: e.Answer})
	if err != nil {
		return false, err
	}
	var became []Sent
	if json.Unmarshal(data, &became) != nil || len(became) != len(q.items) {
		return false, refuse(idBad, "What became of the first request with this Idempotency-Key is known no more. It is not sent again.")
	}
	for i := range q.items {
		q.items[i].Sent = became[i]
	}
	q.answer()
	return true, nil
}

var errMidway = refuse(idBusy, "The first request with this Idempotency-Key is at work, or broke off midway. It is not sent again.")

// was returns the event of a command, or nil if there was none.
func (s *server) was(q *sending, cmd *ledger.Command) (*ledger.Event, error) {
	_, e, _, err := s.ledger.Find(q.Context(), q.account.Tenant, cmd.ID)
	switch {
	case ledger.CodeOf(err) == ledger.NotFound:
		return nil, nil
	case err != nil:
		return nil, err
	case e.Print != cmd.Print():
		return nil, errOther
	}
	return e, nil
}

// fingerprint is the same for two requests that ask for the same.
func (q *sending) fingerprint() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	_ = enc.Encode(q.batch) // strings
	for i := range q.items {
		_ = enc.Encode(q.items[i].Message)
	}
	sum := sha256.Sum256(b.Bytes())
	return append([]byte("sms/send "), sum[:]...)
}

// answer writes what became of every message, in the order of the request.
func (q *sending) answer() {
	out := append(q.Out, `{"status":"ok","result":[`...)
	for i := range q.items {
		it := &q.items[i]
		if i > 0 {
			out = append(out, ',')
		}
		if it.open() {
			out = append(out, `{"status":"ok","sms_id":`...)
			out = appendText(out, it.SMSID)
		} else {
			out = append(out, `{"status":"error","error_id":"`...)
			out = append(out, it.ErrorID...)
			out = append(out, `","error_msg":`...)
			out = appendText(out, it.ErrorMsg)
		}
		out = append(out, `,"custom":`...)
		out = appendText(out, it.Custom)
		out = append(out, '}')
	}
	q.Out = append(out, `]}`...)
}
