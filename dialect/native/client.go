package native

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"saldo/dialect"
)

// A Client calls the API.
type Client struct {
	URL    string       // http://127.0.0.1:7400
	Token  string       // of a credential
	Tenant string       // name or UUID, for credentials that open every tenant
	HTTP   *http.Client // nil: http.DefaultClient
	// Tries is how often a call that may be repeated is made until it gives up:
	// reads, and writes with an id. 0 is 4 times. After 15 s it is not made again.
	Tries int
}

// patience is for how long a call is tried again.
const patience = 15 * time.Second

// maxReply is how much of a reply is read.
const maxReply = 64 << 20

// Do makes a call: in, unless nil, is its body, and the reply's data goes to
// out, unless nil. A refusal is an [*Error]. What the server says is worth a
// retry, and a connection that breaks, is tried again where that cannot do a
// thing twice.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	repeatable := method == http.MethodGet
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
		var named struct {
			ID        string            `json:"id"`
			Transfers []json.RawMessage `json:"transfers"`
		}
		repeatable = json.Unmarshal(body, &named) == nil && (named.ID != "" || named.Transfers != nil)
	}
	tries := c.Tries
	if tries == 0 {
		tries = 4
	}
	until := time.Now().Add(patience)
	for n := 1; ; n++ {
		err := c.try(ctx, method, path, body, out)
		wait, again := worthARetry(err)
		if !again || !repeatable || n >= tries || time.Now().Add(wait).After(until) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(max(wait, time.Duration(n*n)*50*time.Millisecond)):
		}
	}
}

// worthARetry reports whether what went wrong may go right later, and when.
func worthARetry(err error) (time.Duration, bool) {
	var refused *Error
	if errors.As(err, &refused) {
		return refused.RetryAfter, refused.Retryable
	}
	return 0, err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrReply)
}

// ErrReply says that what has answered is no server of this API.
var ErrReply = errors.New("native: the reply is not one of this API")

func (c *Client) try(ctx context.Context, method, path string, body []byte, out any) error {
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.Token)
	if c.Tenant != "" {
		r.Header.Set(tenantHeader, c.Tenant)
	}
	h := c.HTTP
	if h == nil {
		h = http.DefaultClient
	}
	resp, err := h.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return err
	}
	var reply struct {
		Success bool            `json:"success"`
		Data    json.RawMessage `json:"data"`
		Error   *Error          `json:"error"`
	}
	if err := json.Unmarshal(text, &reply); err != nil {
		return fmt.Errorf("%w: %s %s: %s", ErrReply, method, path, resp.Status)
	}
	if reply.Success {
		if out == nil {
			return nil
		}
		return json.Unmarshal(reply.Data, out)
	}
	if reply.Error == nil {
		return fmt.Errorf("%w: %s %s: %s", ErrReply, method, path, resp.Status)
	}
	e := reply.Error
	e.Status = resp.StatusCode
	e.Replayed = resp.Header.Get("Idempotent-Replayed") == "true"
	e.RetryAfter = dialect.RetryAfter(resp.Header)
	return e
}

func (c *Client) account(account, call string) string {
	return "/v1/accounts/" + url.PathEscape(account) + "/" + call
}

func call[T any](ctx context.Context, c *Client, method, path string, in any) (*T, error) {
	out := new(T)
	if err := c.Do(ctx, method, path, in, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Balance returns what an account has.
func (c *Client) Balance(ctx context.Context, account string) (*Balance, error) {
	return call[Balance](ctx, c, http.MethodGet, c.account(account, "balance"), nil)
}

// Open opens an account.
func (c *Client) Open(ctx context.Context, r AccountRequest) (*Account, error) {
	return call[Account](ctx, c, http.MethodPost, "/v1/accounts", r)
}

// Account returns an account.
func (c *Client) Account(ctx context.Context, account string) (*Account, error) {
	return call[Account](ctx, c, http.MethodGet, "/v1/accounts/"+url.PathEscape(account), nil)
}

// TopUp adds money that came in.
func (c *Client) TopUp(ctx context.Context, account string, r TransferRequest) (*Transfer, error) {
	return call[Transfer](ctx, c, http.MethodPost, c.account(account, "topups"), r)
}

// Charge takes money.
func (c *Client) Charge(ctx context.Context, account string, r TransferRequest) (*Transfer, error) {
	return call[Transfer](ctx, c, http.MethodPost, c.account(account, "charges"), r)
}

// Adjust corrects a balance, by an amount that may be below zero.
func (c *Client) Adjust(ctx context.Context, account string, r TransferRequest) (*Transfer, error) {
	return call[Transfer](ctx, c, http.MethodPost, c.account(account, "adjustments"), r)
}

// Transfer makes one transfer.
func (c *Client) Transfer(ctx context.Context, r TransferRequest) (*Transfer, error) {
	return call[Transfer](ctx, c, http.MethodPost, "/v1/transfers", r)
}

// Transfers makes transfers together, all or none. The id may be "" if each has one.
func (c *Client) Transfers(ctx context.Context, id string, all []TransferRequest) (*Batch, error) {
	in := struct {
		ID        string            `json:"id,omitempty"`
		Transfers []TransferRequest `json:"transfers"`
	}{id, all}
	return call[Batch](ctx, c, http.MethodPost, "/v1/transfers", in)
}

// Refund gives back of a transfer an amount, or all that is left of it.
func (c *Client) Refund(ctx context.Context, transfer string, r TransferRequest) (*Transfer, error) {
	return call[Transfer](ctx, c, http.MethodPost, "/v1/transfers/"+url.PathEscape(transfer)+"/refunds", r)
}

// Hold sets an amount aside.
func (c *Client) Hold(ctx context.Context, account string, r HoldRequest) (*Hold, error) {
	return call[Hold](ctx, c, http.MethodPost, c.account(account, "holds"), r)
}

// Capture pays from a hold.
func (c *Client) Capture(ctx context.Context, hold string, r CaptureRequest) (*Capture, error) {
	return call[Capture](ctx, c, http.MethodPost, "/v1/holds/"+url.PathEscape(hold)+"/captures", r)
}

// Release ends a hold.
func (c *Client) Release(ctx context.Context, hold string, r HoldRequest) (*Hold, error) {
	return call[Hold](ctx, c, http.MethodPost, "/v1/holds/"+url.PathEscape(hold)+"/release", r)
}

// Statement returns a page of an account's statement. Query has its filters.
func (c *Client) Statement(ctx context.Context, account string, query url.Values) (*Page[Line], error) {
	return call[Page[Line]](ctx, c, http.MethodGet, c.account(account, "statement")+"?"+query.Encode(), nil)
}

// Accounts returns a page of accounts. Query has its filters.
func (c *Client) Accounts(ctx context.Context, query url.Values) (*Page[Account], error) {
	return call[Page[Account]](ctx, c, http.MethodGet, "/v1/accounts?"+query.Encode(), nil)
}
