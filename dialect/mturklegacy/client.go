package mturklegacy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"saldo/auth"
	"saldo/dialect"
)

// DefaultURL is where the service was.
const DefaultURL = "https://mechanicalturk.amazonaws.com/"

// A Client reads a requester's available balance by query: a form, signed over
// Service, Operation and Timestamp, which every server of this API took.
type Client struct {
	URL             string // DefaultURL if ""
	AccessKeyID     string
	SecretAccessKey string
	Version         string           // 2014-08-15 if ""
	HTTP            *http.Client     // nil: one that gives up after 30 s and follows no redirect
	Now             func() time.Time // nil: time.Now
}

var _ dialect.Reader = (*Client)(nil)

// Read returns the AvailableBalance. The service does not say whose it is.
func (r *Client) Read(ctx context.Context) (dialect.Reading, error) {
	const operation = "GetAccountBalance"
	req, err := r.request(ctx, operation)
	if err != nil {
		return dialect.Reading{}, err
	}
	reply, err := dialect.Ask(r.HTTP, auth.MTurkLegacy, req)
	if err != nil {
		return dialect.Reading{}, err
	}
	a, err := readAnswer(reply.Body)
	if err != nil {
		return dialect.Reading{}, unreadable(reply, err)
	}
	if a.code != "" {
		return dialect.Reading{}, a.refusal(reply)
	}
	if reply.Status != http.StatusOK {
		return dialect.Reading{}, reply.Refusal(auth.MTurkLegacy)
	}
	reading, err := a.reading()
	if err != nil {
		return dialect.Reading{}, unreadable(reply, err)
	}
	reading.Time = reply.Time
	return reading, nil
}

// request returns a signed request for an operation without parameters.
func (r *Client) request(ctx context.Context, operation string) (*http.Request, error) {
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	address, version := DefaultURL, latestVersion
	if r.URL != "" {
		address = r.URL
	}
	if r.Version != "" {
		version = r.Version
	}
	timestamp := now().UTC().Format("2006-01-02T15:04:05Z")
	signature := sign([]byte(r.SecretAccessKey), serviceName+operation+timestamp)
	form := url.Values{
		"Service":        {serviceName},
		"Operation":      {operation},
		"Version":        {version},
		"AWSAccessKeyId": {r.AccessKeyID},
		"Timestamp":      {timestamp},
		"Signature":      {string(signature[:])},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", formType+"; charset=UTF-8")
	return req, nil
}

// An answer is what a reply says, in whatever frame.
type answer struct {
	code, message string // of the first error
	valid         string
	available     price
	onHold        string
}

// A price is a Price as it was written.
type price struct{ amount, currency string }

// readAnswer reads the body of a reply: a result with its frame or without, as
// documentation and boto's own tests have it, an error in any of its places, or
// a SOAP Fault.
func readAnswer(body []byte) (a answer, err error) {
	err = scan(body, nil, func(path []*element, text string) error {
		text = strings.TrimSpace(text)
		switch {
		case is(path, "Errors", "Error", "Code"), is(path, "Fault", "faultcode"):
			if a.code == "" {
				a.code = shortened(text, 128)
			}
		case is(path, "Errors", "Error", "Message"), is(path, "Fault", "faultstring"):
			if a.message == "" {
				a.message = shortened(text, 1024)
			}
		case is(path, "Errors"): // one without a code is one all the same
			if a.code == "" {
				a.code = "Errors"
			}
		case is(path, "Request", "IsValid"):
			a.valid = text
		case is(path, "AvailableBalance", "Amount"):
			a.available.amount = text
		case is(path, "AvailableBalance", "CurrencyCode"):
			a.available.currency = text
		case is(path, "OnHoldBalance", "Amount"):
			a.onHold = text
		}
		return nil
	})
	return a, err
}

// reading returns the balance in an answer without an error.
func (a *answer) reading() (r dialect.Reading, err error) {
	switch {
	case a.valid != "True": // boto 2 compares with exactly this
		return r, errors.New("it is not said to be valid")
	case a.available.amount == "":
		return r, errors.New("it has no AvailableBalance")
	case a.available.currency == "":
		return r, errors.New("its AvailableBalance has no CurrencyCode")
	}
	if err := r.ReadAmount(decimal(a.available.amount)); err != nil {
		return dialect.Reading{}, err
	}
	r.Text, r.Unit, r.OnHold = a.available.amount, shortened(a.available.currency, 16), shortened(a.onHold, 64)
	return r, nil
}

// decimal returns an xs:decimal in the form that money reads: without a plus, and
// with a digit on either side of the point.
func decimal(s string) string {
	sign, digits := "", s
	switch {
	case strings.HasPrefix(s, "+"):
		digits = s[1:]
	case strings.HasPrefix(s, "-"):
		sign, digits = "-", s[1:]
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	switch {
	case whole == "" && fraction == "", strings.HasPrefix(digits, "-"):
		return s // no number
	case whole == "":
		digits = "0" + digits
	case fraction == "":
		digits = whole
	}
	return sign + digits
}

// refusal returns what an error in an answer means.
func (a *answer) refusal(reply *dialect.Reply) *dialect.Error {
	e := reply.Refusal(auth.MTurkLegacy)
	e.Code, e.Message = a.code, withoutTime(a.message)
	code := a.code[strings.LastIndexByte(a.code, ':')+1:] // aws:Server.ServiceUnavailable
	code = strings.TrimPrefix(strings.TrimPrefix(code, "Server."), "Client.")
	switch f := faultOf(code); {
	case f != nil:
		e.Reason = f.reason
	case reply.Status < 400: // the reply arrived whole, and says no
		e.Reason = dialect.Refused
	}
	// One code is for two things. To who asks too often it says when to ask again.
	if e.Reason == dialect.Unavailable && e.RetryAfter > 0 {
		e.Reason = dialect.Throttled
	}
	return e
}

// withoutTime returns a message without the milliseconds that it ends with:
// "(1399076300389)", and in the sandbox "(1399076300389 s)".
func withoutTime(message string) string {
	open := strings.LastIndex(message, "(")
	inside, closed := strings.CutSuffix(message[open+1:], ")")
	if open < 0 || !closed {
		return message
	}
	if _, err := strconv.ParseUint(strings.TrimSuffix(inside, " s"), 10, 64); err != nil {
		return message
	}
	return strings.TrimSpace(message[:open])
}

// unreadable returns the error of a reply that is not one of this API. A status
// that says why goes before.
func unreadable(reply *dialect.Reply, err error) *dialect.Error {
	e := reply.Refusal(auth.MTurkLegacy)
	if reply.Status < 400 {
		e.Message = "the answer is not one of this API: " + shortened(err.Error(), 200)
	}
	return e
}
