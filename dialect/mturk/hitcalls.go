package mturk

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"crypto/sha256"
	"encoding/hex"

	"saldo/auth"
	"saldo/dialect"
	"saldo/ledger"
)

// requester returns who asks, for this call.
func (s *server) requester(x *dialect.Exchange, c *auth.Credential) (*Requester, error) {
	if c.Root.IsZero() { // none is issued
		return nil, refuse(faultNotLinked)
	}
	return s.desk.Requester(x.Context(), c.Root, callOf(x, c))
}

// callOf tells the repeats of a call by what the SDKs send: all tries of one call
// have one amz-sdk-invocation-id, and amz-sdk-request says which try it is. The
// SDKs repeat silently what they got no answer to, payments too. Neither header
// has to be signed, so they prove nothing: the id counts together with the key,
// the operation and the very body.
func callOf(x *dialect.Exchange, c *auth.Credential) Call {
	call := Call{Actor: c.Number}
	invocation := first(x.Request.Header, "Amz-Sdk-Invocation-Id")
	if len(invocation) < 16 || len(invocation) > 128 {
		return call
	}
	h := sha256.New()
	h.Write([]byte(c.ID + "\x00" + invocation + "\x00" + x.Operation.Name() + "\x00"))
	h.Write(x.Body)
	call.ID = "mturk:call:" + hex.EncodeToString(h.Sum(nil)[:20])
	call.Asked = []byte(call.ID)
	call.Again = again(x.Request.Header)
	return call
}

// again reports whether a client says that it tried before.
func again(h http.Header) bool {
	attempt := first(h, "Amz-Sdk-Request")
	return attempt != "" && attempt != "attempt=1" && !strings.HasPrefix(attempt, "attempt=1;")
}

// empty is the result of an operation that has none.
func empty(x *dialect.Exchange) { x.Out = append(x.Out, "{}"...) }

func (s *server) createHITType(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	t := in.hitType()
	if err := in.err(); err != nil {
		return err
	}
	r, err := s.requester(x, c)
	if err != nil {
		return err
	}
	id, err := r.CreateHITType(x.Context(), *t)
	if err != nil {
		return err
	}
	x.Out = append(appendString(append(x.Out, `{"HITTypeId":`...), id), '}')
	return nil
}

// hitType reads the members that are a type's.
func (in *input) hitType() *HITType {
	t := &HITType{
		Title:              in.needText("Title"),
		Description:        in.needText("Description"),
		Keywords:           in.text("Keywords"),
		Reward:             in.needAmount("Reward"),
		AssignmentDuration: wholeSeconds(in.needInt("AssignmentDurationInSeconds")),
		AutoApprovalDelay:  wholeSeconds(in.int("AutoApprovalDelayInSeconds", seconds64(DefaultAutoApproval))),
	}
	in.objects("QualificationRequirements", func(in *input) {
		q := Qualification{
			TypeID: in.needText("QualificationTypeId"),
			Comparator: in.oneOf("Comparator", in.need("Comparator"), []string{"LessThan", "LessThanOrEqualTo", "GreaterThan",
				"GreaterThanOrEqualTo", "EqualTo", "NotEqualTo", "Exists", "DoesNotExist", "In", "NotIn"}),
			RequiredToPreview: in.maybe("RequiredToPreview"),
			ActionsGuarded:    in.one("ActionsGuarded", "Accept", "PreviewAndAccept", "DiscoverPreviewAndAccept"),
		}
		in.each("IntegerValues", func(_ int, raw []byte) { q.Integers = append(q.Integers, in.integer(raw, 0)) })
		in.objects("LocaleValues", func(in *input) {
			q.Locales = append(q.Locales, Locale{in.needText("Country"), in.text("Subdivision")})
		})
		t.Qualifications = append(t.Qualifications, q)
	})
	return t
}

// wholeSeconds returns a number of seconds; one that does not fit is too many
// anyway.
func wholeSeconds(n int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Second)
	return time.Duration(min(max(n, -most), most)) * time.Second
}

func (s *server) createHIT(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	return s.newHIT(x, c, &in, NewHIT{Type: in.hitType()})
}

func (s *server) createHITWithHITType(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	return s.newHIT(x, c, &in, NewHIT{TypeID: in.needEntity("HITTypeId")})
}

// newHIT makes a HIT of a type, or with one.
func (s *server) newHIT(x *dialect.Exchange, c *auth.Credential, in *input, n NewHIT) error {
	n.Lifetime = wholeSeconds(in.needInt("LifetimeInSeconds"))
	n.MaxAssignments = in.int("MaxAssignments", 1)
	n.Question, n.Annotation = in.text("Question"), in.text("RequesterAnnotation")
	n.LayoutID = in.entity("HITLayoutId")
	in.objects("HITLayoutParameters", func(in *input) {
		n.LayoutParameters = append(n.LayoutParameters, LayoutParameter{in.needText("Name"), in.needText("Value")})
	})
	n.Token = in.bounded("UniqueRequestToken", maxToken)
	if err := in.err(); err != nil {
		return err
	}
	if in.get("AssignmentReviewPolicy") != nil || in.get("HITReviewPolicy") != nil {
		return &Refused{Code: codeNotServed, Text: "Review policies are not served here."}
	}
	r, err := s.requester(x, c)
	if err != nil {
		return err
	}
	h, err := r.CreateHIT(x.Context(), n)
	if err != nil {
		return err
	}
	x.Out = append(appendHIT(append(x.Out, `{"HIT":`...), h), '}')
	return nil
}

func (s *server) createAdditionalAssignments(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	id, n := in.needEntity("HITId"), in.needInt("NumberOfAdditionalAssignments")
	token := in.bounded("UniqueRequestToken", maxToken)
	return s.do(x, c, &in, func(r *Requester) error { return r.AddAssignments(x.Context(), id, n, token) })
}

// do runs an operation that returns nothing, if its input is as it has to be.
func (s *server) do(x *dialect.Exchange, c *auth.Credential, in *input, run func(*Requester) error) error {
	if err := in.err(); err != nil {
		return err
	}
	r, err := s.requester(x, c)
	if err == nil {
		err = run(r)
	}
	if err == nil {
		empty(x)
	}
	return err
}

func (s *server) updateExpiration(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	id, at := in.needEntity("HITId"), in.needTime("ExpireAt")
	return s.do(x, c, &in, func(r *Requester) error { return r.UpdateExpiration(x.Context(), id, at) })
}

func (s *server) updateReviewStatus(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	id, revert := in.needEntity("HITId"), in.bool("Revert")
	return s.do(x, c, &in, func(r *Requester) error { return r.SetReviewing(x.Context(), id, !revert) })
}

func (s *server) updateHITType(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	id, typeID := in.needEntity("HITId"), in.needEntity("HITTypeId")
	return s.do(x, c, &in, func(r *Requester) error { return r.SetHITType(x.Context(), id, typeID) })
}

func (s *server) deleteHIT(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	id := in.needEntity("HITId")
	return s.do(x, c, &in, func(r *Requester) error { return r.DeleteHIT(x.Context(), id) })
}

func (s *server) approveAssignment(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	id, feedback, override := in.needEntity("AssignmentId"), in.text("RequesterFeedback"), in.bool("OverrideRejection")
	return s.do(x, c, &in, func(r *Requester) error { return r.Approve(x.Context(), id, feedback, override) })
}

func (s *server) rejectAssignment(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	id, feedback := in.needEntity("AssignmentId"), in.needText("RequesterFeedback")
	return s.do(x, c, &in, func(r *Requester) error { return r.Reject(x.Context(), id, feedback) })
}

func (s *server) sendBonus(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	b := Bonus{WorkerID: in.needWorker("WorkerId"), Amount: in.needAmount("BonusAmount"),
		AssignmentID: in.needEntity("AssignmentId"), Reason: in.needText("Reason")}
	token := in.bounded("UniqueRequestToken", maxToken)
	return s.do(x, c, &in, func(r *Requester) error { return r.SendBonus(x.Context(), b, token) })
}

func (s *server) getHIT(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	id := in.needEntity("HITId")
	if err := in.err(); err != nil {
		return err
	}
	r, err := s.requester(x, c)
	if err != nil {
		return err
	}
	h, err := r.GetHIT(x.Context(), id)
	if err != nil {
		return err
	}
	x.Out = append(appendHIT(append(x.Out, `{"HIT":`...), h), '}')
	return nil
}

func (s *server) getAssignment(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	id := in.needEntity("AssignmentId")
	if err := in.err(); err != nil {
		return err
	}
	r, err := s.requester(x, c)
	if err != nil {
		return err
	}
	a, h, err := r.GetAssignment(x.Context(), id)
	if err != nil {
		return err
	}
	x.Out = appendAssignment(append(x.Out, `{"Assignment":`...), a)
	x.Out = append(appendHIT(append(x.Out, `,"HIT":`...), h), '}')
	return nil
}

// A listing is a list's page in the making.
type listing struct {
	x       *dialect.Exchange
	r       *Requester
	filters string // what a token of this list is good for
	page    Page
	n       int
}

// list begins a page: of what filters say, from the token on.
func (s *server) list(x *dialect.Exchange, c *auth.Credential, in *input, filters ...string) (*listing, error) {
	limit := in.results()
	token, given := in.text("NextToken"), in.get("NextToken") != nil
	if err := in.err(); err != nil {
		return nil, err
	}
	if given && token == "" {
		// https://github.com/boto/boto3/issues/3167
		return nil, &Refused{Text: "Max results is zero or negative"}
	}
	r, err := s.requester(x, c)
	if err != nil {
		return nil, err
	}
	l := &listing{x: x, r: r, filters: strings.Join(append(filters, x.Operation.Name(), r.Account.String()), "\x00"), page: Page{Limit: limit}}
	if given {
		after, ok := l.open(token)
		if !ok {
			return nil, notValid("NextToken", clip(token))
		}
		l.page.After = after
	}
	return l, nil
}

// A token is 8 bytes of the SHA-256 of the list that it goes on with, and where.
const tokenTag = 8

func (l *listing) tag() []byte {
	sum := sha256.Sum256([]byte(l.filters))
	return sum[:tokenTag]
}

func (l *listing) token(at string) string {
	return base64.RawURLEncoding.EncodeToString(append(l.tag(), at...))
}

// open returns where a token goes on, if it is of this list.
func (l *listing) open(token string) (string, bool) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) <= tokenTag || string(b[:tokenTag]) != string(l.tag()) {
		return "", false
	}
	return string(b[tokenTag:]), true
}

// begin writes the start of a page, of so many.
func (l *listing) begin(n int, next, name string) {
	x := l.x
	x.Out = append(x.Out, `{"NumResults":`...)
	x.Out = appendInt(x.Out, int64(n))
	if next != "" {
		x.Out = appendString(append(x.Out, `,"NextToken":`...), l.token(next))
	}
	x.Out = append(x.Out, `,"`+name+`":[`...)
}

// item begins the next item.
func (l *listing) item() {
	if l.n++; l.n > 1 {
		l.x.Out = append(l.x.Out, ',')
	}
}

// end ends a page.
func (l *listing) end() { l.x.Out = append(l.x.Out, "]}"...) }

func (s *server) listHITs(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	l, err := s.list(x, c, &in)
	if err != nil {
		return err
	}
	hits, next, err := l.r.ListHITs(x.Context(), l.page)
	if err != nil {
		return err
	}
	l.begin(len(hits), next, "HITs")
	for _, h := range hits {
		l.item()
		x.Out = appendHIT(x.Out, h)
	}
	l.end()
	return nil
}

// listReviewable returns HITs with their ids alone, as the service did
// (https://github.com/aws/aws-sdk-js/issues/2522).
func (s *server) listReviewable(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	typeID := in.entity("HITTypeId")
	status := Reviewable
	if in.one("Status", Reviewable.String(), Reviewing.String()) == Reviewing.String() {
		status = Reviewing
	}
	l, err := s.list(x, c, &in, typeID, status.String())
	if err != nil {
		return err
	}
	ids, next, err := l.r.ReviewableIDs(x.Context(), status, typeID, l.page)
	if err != nil {
		return err
	}
	l.begin(len(ids), next, "HITs")
	for _, id := range ids {
		l.item()
		x.Out = append(appendString(append(x.Out, `{"HITId":`...), id), '}')
	}
	l.end()
	return nil
}

// listForQualification returns no HITs: none is listed by its qualifications.
func (s *server) listForQualification(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	l, err := s.list(x, c, &in, in.needEntity("QualificationTypeId"))
	if err != nil {
		return err
	}
	l.begin(0, "", "HITs")
	l.end()
	return nil
}

func (s *server) listAssignments(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	id := in.needEntity("HITId")
	var wanted [Rejected + 1]bool
	var order []AssignmentStatus
	in.each("AssignmentStatuses", func(_ int, raw []byte) {
		name := in.oneOf("AssignmentStatuses", raw, assignmentStatuses[Submitted:])
		for st := Submitted; st <= Rejected; st++ {
			wanted[st] = wanted[st] || st.String() == name
		}
	})
	for st := Submitted; st <= Rejected; st++ {
		if wanted[st] {
			order = append(order, st)
		}
	}
	if n := len(order); n == 0 || n == 3 {
		order = []AssignmentStatus{0} // all of them, as they were accepted
	}
	l, err := s.list(x, c, &in, id, string(statusLetters(order)))
	if err != nil {
		return err
	}
	work, next, err := l.assignments(id, order)
	if err != nil {
		return err
	}
	l.begin(len(work), next, "Assignments")
	for _, a := range work {
		l.item()
		x.Out = appendAssignment(x.Out, a)
	}
	l.end()
	return nil
}

func statusLetters(order []AssignmentStatus) (letters []byte) {
	for _, st := range order {
		letters = append(letters, '0'+byte(st))
	}
	return letters
}

// assignments returns a page of work of some states, one state after another.
// Where it ends is the state, and where in the list of that.
func (l *listing) assignments(id string, order []AssignmentStatus) (work []*Assignment, next string, err error) {
	at := 0
	p := l.page
	if p.After != "" {
		letter := p.After[0]
		for at < len(order)-1 && '0'+byte(order[at]) != letter {
			at++
		}
		p.After = p.After[1:]
	}
	for ; ; at++ {
		p.Limit = l.page.Limit - len(work)
		page, next, err := l.r.ListAssignments(l.x.Context(), id, order[at], p)
		work = append(work, page...)
		letter := string(statusLetters(order[at:][:1]))
		switch {
		case err != nil:
			return nil, "", err
		case next != "":
			return work, letter + next, nil
		case at == len(order)-1:
			return work, "", nil
		case len(work) == l.page.Limit: // the rest may be empty: clients take that
			return work, string(statusLetters(order[at+1:][:1])), nil
		}
		p.After = ""
	}
}

func (s *server) listBonuses(x *dialect.Exchange, c *auth.Credential) error {
	in := read(x.Body)
	hit, work := in.entity("HITId"), in.entity("AssignmentId")
	l, err := s.list(x, c, &in, hit, work)
	if err != nil {
		return err
	}
	if (hit == "") == (work == "") {
		return notValid("HITId", hit)
	}
	bonuses, next, err := l.r.ListBonuses(x.Context(), hit, work, l.page)
	if err != nil {
		return err
	}
	l.begin(len(bonuses), next, "BonusPayments")
	for _, b := range bonuses {
		l.item()
		x.Out = appendBonus(x.Out, b)
	}
	l.end()
	return nil
}

// appendTime appends a time as this API has it: seconds since 1970, a number
// with at least one decimal and at most three.
func appendTime(dst []byte, t ledger.Time) []byte {
	ms := int64(t) / 1000
	dst = appendInt(dst, ms/1000)
	if ms %= 1000; ms == 0 {
		return append(dst, ".0"...)
	}
	dst = append(dst, '.', '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10))
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}
