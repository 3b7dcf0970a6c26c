package dialect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"saldo/money"
)

// A Reading is what a server answered when it was asked how much is left.
type Reading struct {
	Account string       // as the server names it; "" where it does not
	Text    string       // the amount as it was written
	Amount  money.Amount // the same in steps of Scale
	Scale   int          // decimals that were written
	Unit    string       // "USD", "EUR", "CREDITS", "VC"
	OnHold  string       // amount that is set aside, where the dialect tells
	Time    time.Time    // of the answer
}

// A Reader reads one balance: the client half of every dialect.
type Reader interface {
	Read(context.Context) (Reading, error)
}

// ReadAmount reads an amount with however many decimals it has.
func (r *Reading) ReadAmount(text string) error {
	scale := 0
	if _, decimals, found := strings.Cut(text, "."); found {
		scale = len(decimals)
	}
	if scale > money.MaxScale {
		return fmt.Errorf("an amount of %d decimals: %.64q", scale, text)
	}
	a, err := money.Parse(text, scale)
	if err != nil {
		return err
	}
	r.Text, r.Amount, r.Scale = text, a, scale
	return nil
}

// A Reason says what a refusal means to who reads a balance.
type Reason uint8

const (
	Refused      Reason = iota // none of the others
	Unauthorized               // the credential is wrong, or not for this
	Forbidden                  // the credential is right and may not do this
	NotFound                   // there is no such account, or it has no balance of its own
	Throttled                  // too many requests
	Unavailable                // the server cannot answer now; worth a retry
	Unreadable                 // the answer is not one of this dialect
)

var reasons = [...]string{"refused", "unauthorized", "forbidden", "not found", "throttled", "unavailable", "unreadable"}

func (r Reason) String() string { return reasons[r] }

// Retryable reports whether the same request may do later.
func (r Reason) Retryable() bool { return r == Throttled || r == Unavailable }

// An Error is a refusal, as the client half of a dialect read it.
type Error struct {
	Dialect    string
	Reason     Reason
	Status     int           // of the HTTP reply
	Code       string        // the vendor's own
	Message    string        // the vendor's own
	RetryAfter time.Duration // 0: the server did not say
	Err        error         // what broke the connection; nil: there was a reply
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Dialect, e.Reason)
	if e.Code != "" {
		fmt.Fprintf(&b, " (%s)", e.Code)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
	}
	return b.String()
}

// Unwrap returns what broke the connection, or nil.
func (e *Error) Unwrap() error { return e.Err }

// A Reply is the whole reply to a request.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
	Time   time.Time
}

// RetryAfter returns how long a server asks to be left alone, a day at most; or
// 0, if it says nothing or a date.
func RetryAfter(h http.Header) time.Duration {
	if seconds, err := strconv.Atoi(h.Get("Retry-After")); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 86400)) * time.Second
	}
	return 0
}

// maxReply is how much of a reply is read.
const maxReply = 4 << 20

// direct is who asks when the caller brings no client: it follows no redirect,
// because a vendor's API has none and a credential must not go elsewhere.
var direct = &http.Client{
	Timeout:       30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Ask sends a request and reads the reply, of up to 4 MiB. A connection that
// fails is an [Error] of the dialect, Unavailable. A nil client gives up after
// 30 s and follows no redirect.
func Ask(client *http.Client, dialect string, r *http.Request) (*Reply, error) {
	if client == nil {
		client = direct
	}
	resp, err := client.Do(r)
	if err != nil {
		if ctx := r.Context().Err(); ctx != nil && !errors.Is(ctx, context.DeadlineExceeded) {
			return nil, ctx
		}
		err = WithoutAddress(err)
		return nil, &Error{Dialect: dialect, Reason: Unavailable, Message: err.Error(), Err: err}
	}
	defer resp.Body.Close()
	reply := &Reply{Status: resp.StatusCode, Header: resp.Header, Time: time.Now()}
	if reply.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxReply)); err != nil {
		return nil, &Error{Dialect: dialect, Reason: Unavailable, Status: resp.StatusCode, Message: err.Error(), Err: err}
	}
	return reply, nil
}

// WithoutAddress takes the address, which may have a secret in it, off an error of
// [http.Client.Do].
func WithoutAddress(err error) error {
	var asked *url.Error
	if errors.As(err, &asked) {
		return asked.Err
	}
	return err
}

// Refusal returns the error that a reply of a status is where its body says
// nothing better.
func (r *Reply) Refusal(dialect string) *Error {
	e := &Error{Dialect: dialect, Status: r.Status, RetryAfter: RetryAfter(r.Header)}
	switch {
	case r.Status == http.StatusUnauthorized:
		e.Reason = Unauthorized
	case r.Status == http.StatusForbidden:
		e.Reason = Forbidden
	case r.Status == http.StatusNotFound:
		e.Reason = NotFound
	case r.Status == http.StatusTooManyRequests:
		e.Reason = Throttled
	case r.Status >= 500 && r.Status != http.StatusNotImplemented:
		e.Reason = Unavailable
	case r.Status < 400:
		e.Reason = Unreadable
	}
	return e
}
