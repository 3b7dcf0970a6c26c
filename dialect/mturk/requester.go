package mturk

import (
	"net/http"
	"strings"

	"saldo/auth"
	"saldo/dialect"
	"saldo/ledger"
)

// A plainServer answers the plain form: JSON without a target, in an envelope.
type plainServer struct {
	requesters
	auth    *auth.Auth
	o       Options
	balance *dialect.Operation
}

// NewRequester returns the server of the plain form: of every POST of
// application/json to "/" that is none of another form's, which whoever serves it
// has made sure of. It has no body, or an object whose members say nothing. Who asks
// shows an access key: by HTTP Basic, with its secret as the password, or by
// Signature V4. It is answered
//
//	{"success":true,"data":{"id":…,"created_at":…,"AvailableBalance":"10.00","OnHoldBalance":"0.00"}}
//	{"success":false,"error":{"code":"UNAUTHORIZED","message":…}}
//
// with the id and the age of the account, the amounts of GetAccountBalance, and
// the codes and statuses of the native API.
func NewRequester(l *ledger.Ledger, a *auth.Auth, o Options) http.Handler {
	o = o.filled(l)
	s := &plainServer{requesters{o.Desk, newVerifier(a, o.Now)}, a, o, o.Metrics.Operation(auth.MTurk, "plainBalance")}
	return dialect.NewHandler(o.Options, o.Metrics.Operation(auth.MTurk, "unknown"), s.answer, s.failed)
}

// Values of headers that are the same in every answer.
var (
	headerNoStore   = []string{"no-store"}
	headerNoSniff   = []string{"nosniff"}
	headerChallenge = []string{`Basic realm="saldo", charset="UTF-8"`}
)

// answer answers a request.
func (s *plainServer) answer(x *dialect.Exchange) {
	x.Status = http.StatusOK
	if err := s.serve(x); err != nil {
		s.refuse(x, err)
		return
	}
	s.head(x)
}

func (s *plainServer) head(x *dialect.Exchange) {
	h := x.Header()
	h["Content-Type"], h["Cache-Control"], h["X-Content-Type-Options"] = headerJSON, headerNoStore, headerNoSniff
}

func (s *plainServer) serve(x *dialect.Exchange) error {
	x.Operation = s.balance
	if err := readBody(x); err != nil {
		return err
	}
	c, err := s.credential(x)
	if err != nil {
		return err
	}
	if err := x.Take(c); err != nil {
		return err
	}
	if err := c.May(auth.Read); err != nil {
		return err
	}
	if !isObject(x.Body) {
		return refuse(faultSerialization)
	}
	b, err := s.requesters.balance(x.Context(), c)
	if err != nil {
		return err
	}
	x.Out = append(x.Out, `{"success":true,"data":{"id":"`...)
	x.Out = b.Account.ID.AppendText(x.Out)
	x.Out = append(x.Out, `","created_at":"`...)
	x.Out = b.Account.Created.AppendText(x.Out)
	x.Out = append(x.Out, `",`...)
	x.Out = appendBalance(x.Out, &b, s.o.ShowHeld)
	x.Out = append(x.Out, "}}"...)
	return nil
}

// credential returns the credential that a request shows.
func (s *plainServer) credential(x *dialect.Exchange) (*auth.Credential, error) {
	authorization, bad := authorization(x.Request)
	if bad != nil {
		return nil, bad
	}
	if strings.HasPrefix(authorization, algorithm) {
		return s.verify(x)
	}
	key, secret, ok := x.BasicAuth()
	if !ok {
		return nil, refuse(faultMissingToken)
	}
	return s.auth.Check(x.Context(), auth.MTurk, key, secret, x.From())
}

// refuse writes a refusal.
func (s *plainServer) refuse(x *dialect.Exchange, err error) {
	r := refusalOf(err)
	if r.cause != nil {
		s.o.Logger.Error("a request failed", "dialect", auth.MTurk, "operation", x.Operation.Name(), "error", r.cause)
	}
	s.head(x)
	h := x.Header()
	x.Status = r.plain.status
	if x.Status == http.StatusUnauthorized {
		h["Www-Authenticate"] = headerChallenge
	}
	dialect.SetRetryAfter(h, r.retryAfter)
	message := r.plain.message
	if r.text != "" || message == "" {
		message = r.said()
	}
	x.Out = appendString(append(x.Out[:0], `{"success":false,"error":{"code":`...), r.plain.code)
	x.Out = appendString(append(x.Out, `,"message":`...), message)
	x.Out = append(x.Out, "}}"...)
}

// failed is the answer to a request that the server panicked on.
func (s *plainServer) failed(x *dialect.Exchange) { s.refuse(x, refuse(faultInternal)) }
