package mturk

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/ledger"
)

// An operation is one call of the model.
type operation struct {
	name  string
	scope auth.Scope
	// serve appends the result to x.Out. Nil: not served here.
	serve   func(s *server, x *dialect.Exchange, c *auth.Credential) error
	metrics *dialect.Operation
}

// operations is every operation of the model.
var operations = []operation{
	{"AcceptQualificationRequest", auth.Charge, nil, nil},
	{"ApproveAssignment", auth.Charge, (*server).approveAssignment, nil},
	{"AssociateQualificationWithWorker", auth.Charge, nil, nil},
	{"CreateAdditionalAssignmentsForHIT", auth.Charge, (*server).createAdditionalAssignments, nil},
	{"CreateHIT", auth.Charge, (*server).createHIT, nil},
	{"CreateHITType", auth.Charge, (*server).createHITType, nil},
	{"CreateHITWithHITType", auth.Charge, (*server).createHITWithHITType, nil},
	{"CreateQualificationType", auth.Charge, nil, nil},
	{"CreateWorkerBlock", auth.Charge, nil, nil},
	{"DeleteHIT", auth.Charge, (*server).deleteHIT, nil},
	{"DeleteQualificationType", auth.Charge, nil, nil},
	{"DeleteWorkerBlock", auth.Charge, nil, nil},
	{"DisassociateQualificationFromWorker", auth.Charge, nil, nil},
	{"GetAccountBalance", auth.Read, (*server).accountBalance, nil},
	{"GetAssignment", auth.Read, (*server).getAssignment, nil},
	{"GetFileUploadURL", auth.Read, nil, nil},
	{"GetHIT", auth.Read, (*server).getHIT, nil},
	{"GetQualificationScore", auth.Read, nil, nil},
	{"GetQualificationType", auth.Read, nil, nil},
	{"ListAssignmentsForHIT", auth.Read, (*server).listAssignments, nil},
	{"ListBonusPayments", auth.Read, (*server).listBonuses, nil},
	{"ListHITs", auth.Read, (*server).listHITs, nil},
	{"ListHITsForQualificationType", auth.Read, (*server).listForQualification, nil},
	{"ListQualificationRequests", auth.Read, nil, nil},
	{"ListQualificationTypes", auth.Read, nil, nil},
	{"ListReviewPolicyResultsForHIT", auth.Read, nil, nil},
	{"ListReviewableHITs", auth.Read, (*server).listReviewable, nil},
	{"ListWorkerBlocks", auth.Read, nil, nil},
	{"ListWorkersWithQualificationType", auth.Read, nil, nil},
	{"NotifyWorkers", auth.Charge, nil, nil},
	{"RejectAssignment", auth.Charge, (*server).rejectAssignment, nil},
	{"RejectQualificationRequest", auth.Charge, nil, nil},
	{"SendBonus", auth.Charge, (*server).sendBonus, nil},
	{"SendTestEventNotification", auth.Charge, nil, nil},
	{"UpdateExpirationForHIT", auth.Charge, (*server).updateExpiration, nil},
	{"UpdateHITReviewStatus", auth.Charge, (*server).updateReviewStatus, nil},
	{"UpdateHITTypeOfHIT", auth.Charge, (*server).updateHITType, nil},
	{"UpdateNotificationSettings", auth.Charge, nil, nil},
	{"UpdateQualificationType", auth.Charge, nil, nil},
}

// Options of the servers. The zero value is usable.
type Options struct {
	dialect.Options
	// Desk is where the HITs are; nil: a desk with the service's rules.
	Desk *Desk
	// ShowHeld says in OnHoldBalance what is on hold. The service never did.
	ShowHeld bool
	// PlainMessages leaves out the milliseconds that messages end with.
	PlainMessages bool
}

// filled returns the options with everything that was left out.
func (o Options) filled(l *ledger.Ledger) Options {
	o.Options = o.Options.Filled()
	if o.Desk == nil {
		o.Desk = NewDesk(l, DeskOptions{Logger: o.Logger})
	}
	return o
}

// A server answers AWS JSON 1.1.
type server struct {
	requesters
	o          Options
	operations map[string]*operation
}

// New returns the server of the API: of every request for it, whatever its
// method and path.
func New(l *ledger.Ledger, a *auth.Auth, o Options) http.Handler {
	o = o.filled(l)
	s := &server{requesters{o.Desk, newVerifier(a, o.Now)}, o, make(map[string]*operation, len(operations))}
	unknown := o.Metrics.Operation(auth.MTurk, "unknown")
	for _, op := range operations {
		op.metrics = unknown
		if op.serve != nil {
			op.metrics = o.Metrics.Operation(auth.MTurk, op.name)
		}
		s.operations[op.name] = &op
	}
	return dialect.NewHandler(o.Options, unknown, s.answer, s.failed)
}

// Values of headers that are the same in every answer.
var (
	headerAmazonJSON = []string{typeJSON}
	headerJSON       = []string{"application/json"}
	headerClose      = []string{"close"}
)

// answer answers a request.
func (s *server) answer(x *dialect.Exchange) {
	head(x)
	op, unknown := s.route(x)
	if unknown != nil {
		s.refuse(x, unknown)
		return
	}
	x.Operation, x.Status = op.metrics, http.StatusOK
	if err := s.serve(x, op); err != nil {
		s.refuse(x, s.refusal(x, err))
	}
}

// head writes the header that every answer has.
func head(x *dialect.Exchange) {
	var random [16]byte
	rand.Read(random[:]) // never fails
	h := x.Header()
	h["x-amzn-RequestId"] = []string{string(appendUUID(make([]byte, 0, 36), random))} // in the service's spelling
	h["Content-Type"] = headerAmazonJSON
}

// route returns the operation that a request names.
func (s *server) route(x *dialect.Exchange) (*operation, *refusal) {
	target, ours := strings.CutPrefix(first(x.Request.Header, "X-Amz-Target"), targetPrefix)
	op := s.operations[target]
	if !ours || op == nil || x.Method != http.MethodPost || x.URL.Path != "/" && x.URL.Path != "" {
		return nil, refuse(faultUnknownOperation)
	}
	return op, nil
}

// serve runs an operation for who asks for it.
func (s *server) serve(x *dialect.Exchange, op *operation) error {
	if err := readBody(x); err != nil {
		return err
	}
	c, err := s.verify(x)
	if err != nil {
		return err
	}
	if err := x.Take(c); err != nil {
		return err
	}
	if err := c.May(op.scope); err != nil {
		return refusef(faultAccessDenied, "User: %s is not authorized to perform: mechanicalturk:%s", c.ID, op.name)
	}
	if !isObject(x.Body) {
		return refuse(faultSerialization)
	}
	if op.serve == nil {
		return &Refused{Code: codeNotServed, Text: op.name + " is not served here."}
	}
	return op.serve(s, x, c)
}

// readBody reads the body of a request.
func readBody(x *dialect.Exchange) error {
	switch err := x.ReadBody(maxBody); {
	case errors.Is(err, dialect.ErrTooLarge):
		return refuse(faultTooLarge)
	case err != nil:
		x.Header()["Connection"] = headerClose
		return refuse(faultSlow)
	}
	return nil
}

// isObject reports whether a body is a JSON object. None at all is taken for an
// empty one.
func isObject(body []byte) bool {
	if len(body) == 0 || string(body) == "{}" {
		return true
	}
	for _, c := range body {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c == '{' && json.Valid(body)
		}
	}
	return false
}

// accountBalance is GetAccountBalance.
func (s *server) accountBalance(x *dialect.Exchange, c *auth.Credential) error {
	b, err := s.balance(x.Context(), c)
	if err != nil {
		return err
	}
	x.Out = appendBalance(append(x.Out, '{'), &b, s.o.ShowHeld)
	x.Out = append(x.Out, '}')
	return nil
}

// refuse writes a refusal.
func (s *server) refuse(x *dialect.Exchange, r *refusal) {
	h := x.Header()
	x.Status = r.status
	dialect.SetRetryAfter(h, r.retryAfter)
	if r.fault == &faults[faultUnknownOperation] && !isAmazonJSON(x.Request.Header) {
		// https://github.com/aws/aws-sdk-go/issues/3689
		h["Content-Type"] = headerJSON
		x.Out = append(x.Out[:0], `{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}`...)
		return
	}
	x.Out = r.append(x.Out[:0], s.o.Now(), s.o.PlainMessages)
}

// failed is the answer to a request that the server panicked on.
func (s *server) failed(x *dialect.Exchange) {
	head(x)
	s.refuse(x, refuse(faultInternal))
}

// refusal makes a refusal of whatever went wrong. What is the server's own fault
// is logged.
func (s *server) refusal(x *dialect.Exchange, err error) *refusal {
	r := refusalOf(err)
	if r.cause != nil {
		s.o.Logger.Error("a request failed", "dialect", auth.MTurk, "operation", x.Operation.Name(), "error", r.cause)
	}
	return r
}

// retryAfter is when to try again what failed for a while.
const retryAfter = time.Second

func refusalOf(err error) *refusal {
	var own *refusal
	var rules *Refused
	var refused *ledger.Error
	var throttled auth.ErrThrottled
	var forbidden auth.ErrForbidden
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &rules):
		return refusalBy(rules)
	case errors.As(err, &throttled):
		return &refusal{fault: &faults[faultThrottled], retryAfter: throttled.RetryAfter}
	case errors.Is(err, auth.ErrSecret):
		return refuse(faultSignature)
	case errors.Is(err, auth.ErrExpired):
		return refuse(faultExpiredToken)
	case errors.Is(err, auth.ErrUnauthorized):
		return refuse(faultUnrecognized)
	case errors.As(err, &forbidden):
		return refuse(faultAccessDenied)
	case errors.As(err, &refused):
		r := &refusal{fault: faultOf(refused.Code)}
		if refused.Code.Retryable() {
			r.retryAfter = retryAfter
		}
		if refused.Code == ledger.Internal {
			r.cause = err
		}
		return r
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &refusal{fault: faultOf(ledger.Timeout), retryAfter: retryAfter}
	}
	return &refusal{fault: faultOf(ledger.Internal), cause: err}
}

// requesters knows who asks, and what the requester has.
type requesters struct {
	desk *Desk
	*verifier
}

// balance returns the balance of the requester that an access key is for.
func (s *requesters) balance(ctx context.Context, c *auth.Credential) (ledger.Balance, error) {
	if c.Root.IsZero() { // none is issued
		return ledger.Balance{}, refuse(faultNotLinked)
	}
	b, err := s.desk.Balance(ctx, c.Root)
	if err == nil && b.Unit.Code != s.desk.o.Currency {
		err = refuse(faultCurrency)
	}
	return b, err
}
