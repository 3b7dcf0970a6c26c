package gateway360

import (
	"context"
	"errors"
	"net/http"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/ledger"
	"saldo/money"
)

// maxBody is how many bytes a request may have.
const maxBody = 1 << 20

// A route is one call of the API.
type route struct {
	path      string
	operation string     // its label in the metrics
	scope     auth.Scope // what its key has to have
	reads     bool       // it changes nothing: GET will do
	serve     func(*server, *call) error
	metrics   *dialect.Operation
}

// routes is every call of the API that is served.
var routes = []route{
	{pathBalance, "getBalance", auth.Read, true, (*server).balance, nil},
	{pathCountryPricing, "getCountryPricing", auth.Read, true, (*server).countryPricing, nil},
	{pathPrefixPricing, "getPrefixPricing", auth.Read, true, (*server).prefixPricing, nil},
	{pathSubaccountBalance, "getSubaccountBalance", auth.Read, true, (*server).subaccountBalance, nil},
	{pathSubaccountInfo, "getSubaccountInfo", auth.Read, true, (*server).subaccountInfo, nil},
	{pathSubaccountAdd, "addSubaccountBalance", auth.Charge, false, (*server).addBalance, nil},
	{pathSubaccountDeduct, "deductSubaccountBalance", auth.Charge, false, (*server).deductBalance, nil},
	{pathSubaccountCreate, "createSubaccount", auth.Admin, false, (*server).createSubaccount, nil},
	{pathSubaccountDelete, "deleteSubaccount", auth.Admin, false, (*server).deleteSubaccount, nil},
	{pathSend, "sendSMS", auth.Charge, false, (*server).send, nil},
}

// Options are what the API takes beside what every dialect does.
type Options struct {
	dialect.Options
	Prices []Price // what messages cost; of others than these none is sent
	Sink   Sink    // where messages go; nil: nowhere, so that none is sent
}

// A server answers for a ledger.
type server struct {
	ledger *ledger.Ledger
	auth   *auth.Auth
	o      dialect.Options
	prices priceList
	sink   Sink
	routes map[string]*route
}

// New returns the API over a ledger: every path below /api/3.0/, and whatever
// else comes to it is answered that there is no such function.
func New(l *ledger.Ledger, a *auth.Auth, o Options) http.Handler {
	s := &server{ledger: l, auth: a, o: o.Filled(), prices: newPriceList(o.Prices), sink: o.Sink, routes: make(map[string]*route)}
	for _, r := range routes {
		r.metrics = o.Metrics.Operation(auth.Gateway360, r.operation)
		s.routes[r.path] = &r
	}
	l.OnDue(kindBegun, s.unmake)
	return dialect.NewHandler(s.o, o.Metrics.Operation(auth.Gateway360, "unknown"), s.answer, func(x *dialect.Exchange) {
		s.refuse(x, refuse(idInternal, ""))
	})
}

// values of headers that are the same in every reply.
var (
	typeJSON = []string{"application/json"}
	noStore  = []string{"no-store"}
	noSniff  = []string{"nosniff"}
)

// answer fills in the exchange.
func (s *server) answer(x *dialect.Exchange) {
	if err := s.serve(x); err != nil {
		s.refuse(x, err)
		return
	}
	x.Status = http.StatusOK
	headers(x)
}

func headers(x *dialect.Exchange) {
	h := x.Header()
	h["Content-Type"] = typeJSON
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
}

// A call is a request whose key is right.
type call struct {
	*dialect.Exchange
	params
	cred *auth.Credential
}

// read puts members of the request's body where they are wanted.
func (c *call) read(all ...wanted) { read(trimmed(c.Body), all...) }

// serve makes the checks, in their order, and then the call.
func (s *server) serve(x *dialect.Exchange) error {
	r := s.routes[x.URL.Path]
	if r == nil {
		return refuse(idPath, "")
	}
	x.Operation = r.metrics
	if x.Method != http.MethodPost && !(r.reads && x.Method == http.MethodGet) {
		x.Header().Set("Allow", r.methods())
		return refuse(idMethod, "")
	}
	if !isJSON(x.Request.Header) {
		return refuse(idContentType, "")
	}
	if err := x.ReadBody(maxBody); err == dialect.ErrTooLarge {
		return refuse(idTooLarge, "")
	} else if err != nil {
		x.Header().Set("Connection", "close") // the rest of the body is not waited for
		return refuse(idJSON, "")             // which is said of what is not complete, too
	}
	c := call{Exchange: x}
	var err error
	if c.params, err = decode(x.Body); err != nil {
		return err
	}
	key, err := c.apiKey.required("api_key")
	if err != nil {
		return err
	}
	if c.cred, err = s.auth.Check(x.Context(), auth.Gateway360, "", key, x.From()); err != nil {
		return err
	}
	if err := x.Take(c.cred); err != nil {
		return err
	}
	if err := c.cred.May(r.scope); err != nil {
		return err
	}
	return r.serve(s, &c)
}

func (r *route) methods() string {
	if r.reads {
		return "GET, POST"
	}
	return "POST"
}

// balance is account/get-balance: of the account of the key or, where the
// request has a user_name, of the sub-account of that name.
func (s *server) balance(c *call) error {
	name, err := c.userName.text("user_name")
	if err != nil {
		return err
	}
	id := c.cred.Root
	if name != "" {
		a, err := s.named(c, name)
		if err != nil {
			return err
		}
		id = a.ID
	}
	if id.IsZero() {
		return errWhich
	}
	return s.show(c, id)
}

var errWhich = refuse(idMissing, "This API key opens more than one account: the parameter `user_name` is mandatory.")

// holder returns the account that a request is made as, and its unit: that of the
// key or, where a token opens more than one, the one that user_name names.
func (s *server) holder(c *call) (*ledger.Account, money.Unit, error) {
	var a *ledger.Account
	var err error
	if id := c.cred.Root; !id.IsZero() {
		a, err = s.ledger.Account(c.Context(), id)
	} else {
		var name string
		if name, err = c.userName.text("user_name"); err == nil && name == "" {
			err = errWhich
		}
		if err == nil {
			a, err = s.named(c, name)
		}
	}
	if err != nil {
		return nil, money.Unit{}, err
	}
	unit, err := s.ledger.UnitOf(c.Context(), a)
	return a, unit, err
}

// subaccountBalance is subaccount/get-balance.
func (s *server) subaccountBalance(c *call) error {
	a, _, err := s.subaccount(c)
	if err != nil {
		return err
	}
	return s.show(c, a.ID)
}

// subaccount returns the sub-account that a request names, and its user_name.
func (s *server) subaccount(c *call) (*ledger.Account, string, error) {
	name, err := c.userName.required("user_name")
	if err != nil {
		return nil, "", err
	}
	a, err := s.named(c, name)
	if err == nil && a.ID == c.cred.Root {
		err = noSubaccount()
	}
	return a, name, err
}

// show writes what an account can spend.
func (s *server) show(c *call, id ledger.AccountID) error {
	b, err := s.ledger.Balance(c.Context(), id)
	if err != nil {
		return err
	}
	c.Out = appendBalance(c.Out, b.Spendable, b.Unit)
	return nil
}

// named returns the account that has a user_name, if the key opens it.
func (s *server) named(c *call, name string) (*ledger.Account, error) {
	e, err := s.auth.Resolve(c.Context(), auth.Gateway360, name)
	if err == nil && !e.Account.IsZero() {
		var a *ledger.Account
		if a, err = s.ledger.Account(c.Context(), e.Account); err == nil && s.auth.Opens(c.Context(), c.cred, a) {
			return a, nil
		}
	}
	if err != nil && ledger.CodeOf(err) != ledger.NotFound {
		return nil, err
	}
	return nil, noSubaccount()
}

func noSubaccount() error {
	return refuse(idBad, "Parameter `user_name` must be the name of a subaccount of yours.")
}

// refuse fills in the exchange with a refusal.
func (s *server) refuse(x *dialect.Exchange, err error) {
	r, wait := s.refusal(x, err)
	dialect.SetRetryAfter(x.Header(), wait)
	x.Status = r.status
	x.Out = appendRefusal(x.Out[:0], r.id, r.text())
	headers(x)
}

// refusal makes a refusal of whatever went wrong, and says when to try again.
func (s *server) refusal(x *dialect.Exchange, err error) (*refusal, time.Duration) {
	var own *refusal
	var throttled auth.ErrThrottled
	var forbidden auth.ErrForbidden
	switch {
	case errors.As(err, &own) && own.id == idBusy:
		return own, time.Second
	case errors.As(err, &own):
		return own, 0
	case errors.As(err, &throttled):
		r := &refusal{fault: faultOf(idThrottled)}
		if throttled.Rate {
			r.message = "Too many requests with this API key. Try again later."
		}
		return r, throttled.RetryAfter
	case errors.Is(err, auth.ErrUnauthorized):
		return &refusal{fault: faultOf(idKey)}, 0
	case errors.As(err, &forbidden):
		return &refusal{faultOf(idForbidden), "Your API key does not have the scope `" + forbidden.Missing.String() + "`."}, 0
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &refusal{fault: faultOf(idBusy)}, time.Second
	}
	f := faultOfLedger(ledger.CodeOf(err))
	switch f.id {
	case idInternal:
		s.o.Logger.Error("a request failed", "dialect", auth.Gateway360, "operation", x.Operation.Name(), "error", err)
	case idBusy:
		return &refusal{fault: f}, time.Second
	}
	return &refusal{fault: f}, 0
}
