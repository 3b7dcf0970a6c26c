package mturklegacy

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/mturk"
	"saldo/ledger"
)

// Options of the server. The zero value is usable.
type Options struct {
	dialect.Options
	// Desk is where the HITs are, the one of the API of 2017; nil: a desk with the
	// service's rules.
	Desk *mturk.Desk
	// PlainMessages leaves out the milliseconds that messages end with.
	PlainMessages bool
	// Retired are the versions that are answered as if on or after 2019-06-01.
	Retired Retired
}

// An operation is one of the API's.
type operation struct {
	name   string
	result string // the element that its result is
	scope  auth.Scope
	since  int                                           // the first version that has it here, as in versions
	serve  func(*server, *dialect.Exchange, *call) error // appends what follows Request in the result
}

// operations is every operation that is served.
var operations = []operation{
	{"GetAccountBalance", "GetAccountBalanceResult", auth.Read, 0, (*server).balance},
	{"RegisterHITType", "RegisterHITTypeResult", auth.Charge, v2008, (*server).registerHITType},
	{"CreateHIT", "HIT", auth.Charge, v2008, (*server).createHIT},
	{"ExtendHIT", "ExtendHITResult", auth.Charge, v2008, (*server).extendHIT},
	{"ForceExpireHIT", "ForceExpireHITResult", auth.Charge, v2008, (*server).forceExpireHIT},
	{"DisableHIT", "DisableHITResult", auth.Charge, v2008, (*server).disableHIT},
	{"DisposeHIT", "DisposeHITResult", auth.Charge, v2008, (*server).disposeHIT},
	{"ChangeHITTypeOfHIT", "ChangeHITTypeOfHITResult", auth.Charge, v2008, (*server).changeHITType},
	{"SetHITAsReviewing", "SetHITAsReviewingResult", auth.Charge, v2008, (*server).setReviewing},
	{"GetHIT", "HIT", auth.Read, v2008, (*server).getHIT},
	{"SearchHITs", "SearchHITsResult", auth.Read, v2008, (*server).searchHITs},
	{"GetReviewableHITs", "GetReviewableHITsResult", auth.Read, v2008, (*server).reviewableHITs},
	{"GetAssignment", "GetAssignmentResult", auth.Read, v2008, (*server).getAssignment},
	{"GetAssignmentsForHIT", "GetAssignmentsForHITResult", auth.Read, v2008, (*server).assignmentsForHIT},
	{"ApproveAssignment", "ApproveAssignmentResult", auth.Charge, v2008, (*server).approveAssignment},
	{"ApproveRejectedAssignment", "ApproveRejectedAssignmentResult", auth.Charge, v2008, (*server).approveRejected},
	{"RejectAssignment", "RejectAssignmentResult", auth.Charge, v2008, (*server).rejectAssignment},
	{"GrantBonus", "GrantBonusResult", auth.Charge, v2008, (*server).grantBonus},
	{"GetBonusPayments", "GetBonusPaymentsResult", auth.Read, v2008, (*server).bonusPayments},
}

// A call is what a request asks, by whichever road it came.
type call struct {
	soap             bool
	operation        string
	version          string
	service          string
	keyID            string
	timestamp        string
	signature        string
	signatureVersion string
	parameters       []parameter // of a query
	requests         []*node     // by SOAP
	results          int         // how many are asked for: one by query, one for each Request by SOAP

	// Once they are known:
	op         *operation
	edition    *version
	credential *auth.Credential
	requester  *mturk.Requester
	currency   string
	in         *input // what is asked for the result in the making

	space [16]parameter
}

type server struct {
	desk    *mturk.Desk
	auth    *auth.Auth
	o       dialect.Options
	plain   bool // messages
	retired Retired
	counted []*dialect.Operation // as in operations
	places  places
	wsdl    [len(versions)]string
}

// New returns a server of the API for /, /onca/xml and /onca/soap.
func New(l *ledger.Ledger, a *auth.Auth, o Options) http.Handler {
	s := &server{desk: o.Desk, auth: a, o: o.Options.Filled(), plain: o.PlainMessages, retired: o.Retired}
	if s.desk == nil {
		s.desk = mturk.NewDesk(l, mturk.DeskOptions{Logger: s.o.Logger})
	}
	for i := range versions {
		s.wsdl[i] = describe(i)
	}
	for i := range operations {
		s.counted = append(s.counted, o.Metrics.Operation(auth.MTurkLegacy, operations[i].name))
	}
	return dialect.NewHandler(o.Options, o.Metrics.Operation(auth.MTurkLegacy, "unknown"), s.answer, s.failed)
}

func (s *server) answer(x *dialect.Exchange) {
	var c call
	if err := s.serve(x, &c); err != nil {
		s.refuse(x, &c, s.refusalOf(x, err))
	}
}

func (s *server) failed(x *dialect.Exchange) {
	s.refuse(x, &call{soap: isSOAP(x.Request)}, refuse(codeInternal))
}

// serve answers a call, or says why not.
func (s *server) serve(x *dialect.Exchange, c *call) error {
	c.soap = isSOAP(x.Request)
	if s.retired.all {
		return refuse(codeRetired)
	}
	if AsksWSDL(x.Request) {
		return s.answerWSDL(x)
	}
	if err := s.read(x, c); err != nil {
		return err
	}
	if err := s.find(x, c); err != nil {
		return err
	}
	if err := s.prove(x, c); err != nil {
		return err
	}
	if err := s.employ(x, c); err != nil {
		return err
	}
	return s.results(x, c)
}

// results answers with a result for each Request.
func (s *server) results(x *dialect.Exchange, c *call) error {
	s.begin(x, c)
	for i := range c.results {
		start := len(x.Out)
		x.Out = appendOpen(x.Out, c.op.result)
		x.Out = append(x.Out, "<Request><IsValid>True</IsValid></Request>"...)
		if err := s.result(x, c, i); err != nil {
			// What is wrong with one Request is said in its result: others were done.
			r := s.refusalOf(x, err)
			if r.place != inResult && i == 0 {
				return r
			}
			x.Out = s.appendRefused(x.Out[:start], c, r)
			continue
		}
		x.Out = appendClose(x.Out, c.op.result)
	}
	s.end(x, c)
	return nil
}

// employ finds the requester that the credential is for.
func (s *server) employ(x *dialect.Exchange, c *call) (err error) {
	c.currency = s.desk.Currency()
	if c.credential.Root.IsZero() {
		return refuse(codeNoAccount)
	}
	c.requester, err = s.desk.Requester(x.Context(), c.credential.Root, mturk.Call{Actor: c.credential.Number})
	return err
}

// result appends what is in a result.
func (s *server) result(x *dialect.Exchange, c *call, i int) error {
	if err := x.Context().Err(); err != nil {
		return err
	}
	if i > 0 && len(x.Out) > maxAnswer {
		return refuse(codeTooLong, maxAnswer>>20)
	}
	switch {
	case c.soap:
		c.in = newInput(c.requests[i])
	case c.op.since > 0: // a balance has no parameters
		c.in = newInput(treeOf(c.parameters))
	}
	return c.op.serve(s, x, c)
}

// read reads what the request asks.
func (s *server) read(x *dialect.Exchange, c *call) error {
	switch {
	case x.Method == http.MethodPost:
	case !c.soap && (x.Method == http.MethodGet || x.Method == http.MethodHead):
		return c.readQuery(x)
	default:
		x.Header()["Allow"] = allowed(c.soap)
		return refuse(codeMethod, shortened(x.Method, 16))
	}
	switch err := x.ReadBody(maxBody); {
	case err == dialect.ErrTooLarge:
		return refuse(codeTooLarge)
	case err != nil:
		return refuse(codeIncomplete)
	}
	if c.soap {
		return c.readSOAP(x.Body)
	}
	return c.readQuery(x)
}

var (
	allowPost    = []string{"POST"}
	allowGetPost = []string{"GET, HEAD, POST"}
)

func allowed(soap bool) []string {
	if soap {
		return allowPost
	}
	return allowGetPost
}

// find finds the operation and the version that are asked for, and checks what
// every call has.
func (s *server) find(x *dialect.Exchange, c *call) error {
	if c.operation == "" {
		return refuse(codeMissing, "Operation")
	}
	name := c.version
	if name == "" {
		name = latestVersion
	}
	v := versionOf(name)
	switch {
	case v < 0:
		return refuse(codeVersion, shortened(name, 64), versionNames())
	case s.retired.versions[v]:
		return refuse(codeRetired)
	case c.service != "" && c.service != serviceName:
		return refuse(codeParameter, shortened(c.service, 64), "Service", "It is "+serviceName+".")
	}
	at := slices.IndexFunc(operations, func(op operation) bool { return op.name == c.operation })
	if at < 0 {
		return refuse(codeOperation, shortened(c.operation, 64), served())
	}
	c.op, c.edition, x.Operation = &operations[at], &versions[v], s.counted[at]
	if v < c.op.since {
		c.op = nil
		return &refusal{fault: faultOf(codeOperation), message: c.operation + " is served in the versions from " + versions[v2008].name + " on"}
	}
	for _, p := range []struct{ name, value string }{
		{"AWSAccessKeyId", c.keyID}, {"Timestamp", c.timestamp}, {"Signature", c.signature},
	} {
		if p.value == "" {
			return refuse(codeMissing, p.name)
		}
	}
	switch {
	case c.signatureVersion != "" && c.signatureVersion != "1":
		return refuse(codeParameter, shortened(c.signatureVersion, 64), "SignatureVersion", "Leave it out, or send 1.")
	case c.results == 0:
		return refuse(codeMissing, "Request")
	}
	return nil
}

func served() string {
	var names []string
	for _, op := range operations {
		names = append(names, op.name)
	}
	return strings.Join(names, ", ")
}

// prove makes sure of who asks, and of what it may.
func (s *server) prove(x *dialect.Exchange, c *call) error {
	sent, ok := parseTimestamp(c.timestamp)
	if !ok {
		return refuse(codeParameter, shortened(c.timestamp, 64), "Timestamp", "Must be in ISO8601 format.")
	}
	// A clock that is wrong is no attempt at a secret: it is told before, and
	// does not count as one.
	now := s.o.Now()
	if !isRecent(sent, now) {
		return badClaims(c, now)
	}
	credential, secrets, err := s.auth.Sealed(x.Context(), auth.MTurkLegacy, c.keyID, x.From())
	if err != nil {
		return err
	}
	if !isSigned(secrets, c.toSign(), c.signature) {
		if err := s.auth.Failed(c.keyID, x.From()); !errors.Is(err, auth.ErrSecret) {
			return err
		}
		return badClaims(c, now)
	}
	s.auth.Proved(credential)
	if err := x.Take(credential); err != nil {
		return err
	}
	c.credential = credential
	return credential.May(c.op.scope)
}

func badClaims(c *call, now time.Time) error {
	return refuse(codeBadClaims, shortened(c.toSign(), 1024), now.UTC().Format("2006-01-02T15:04:05Z"))
}

// refusalOf makes a refusal of whatever went wrong. What is a fault of ours is
// logged here, and nowhere else.
func (s *server) refusalOf(x *dialect.Exchange, err error) *refusal {
	var own *refusal
	var rules *mturk.Refused
	var throttled auth.ErrThrottled
	var forbidden auth.ErrForbidden
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &rules):
		return refusalBy(rules)
	case errors.As(err, &throttled):
		r := refuse(codeUnavailable)
		r.retryAfter = throttled.RetryAfter
		return r
	case errors.As(err, &forbidden):
		return refuse(codeDenied)
	case errors.Is(err, auth.ErrUnauthorized):
		return refuse(codeUnknownKey)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return refuse(codeUnavailable)
	}
	f := faultOfLedger(ledger.CodeOf(err))
	if f.code == codeInternal {
		s.o.Logger.Error("a request failed", "dialect", auth.MTurkLegacy, "operation", x.Operation.Name(), "error", err)
	}
	return &refusal{fault: f, message: f.text}
}

// isSOAP reports whether a request is, or should be, a SOAP envelope.
func isSOAP(r *http.Request) bool {
	switch r.URL.Path {
	case "/onca/soap":
		return true
	case "/onca/xml":
		return false
	}
	return isType(r, xmlType)
}

// isType reports whether a body is of a media type, whatever its parameters.
func isType(r *http.Request, want string) bool {
	sent := r.Header["Content-Type"]
	if len(sent) == 0 {
		return false
	}
	media, _, _ := strings.Cut(sent[0], ";")
	return strings.EqualFold(strings.TrimSpace(media), want)
}
