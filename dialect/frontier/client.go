package frontier

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"connectrpc.com/connect"

	"saldo/auth"
	"saldo/dialect"
)

// An API is one of the two forms that Frontier's API has had.
type API uint8

const (
	Either  API = iota // REST, and Connect if the server has no REST or OrgID is ""
	REST               // v0.8 to v0.90
	Connect            // v0.75 and later
)

// A Client reads the balance of a billing account at a Frontier. It is not
// copied once it is used.
type Client struct {
	URL       string // http://127.0.0.1:7400
	OrgID     string // needed by REST
	BillingID string
	// Either a client id and its secret, or a token.
	ClientID, ClientSecret string
	Token                  string
	API                    API
	HTTP                   *http.Client // nil: one that gives up after 30 s and follows no redirect

	noREST atomic.Bool // the server has no REST, as far as is known
}

// maxQuoted is how much of a server's message is passed on.
const maxQuoted = 512

// Read reads the balance: whole credits, of the unit VC.
func (c *Client) Read(ctx context.Context) (dialect.Reading, error) {
	if c.API == Connect || c.API == Either && (c.OrgID == "" || c.noREST.Load()) {
		return c.readConnect(ctx)
	}
	r, err := c.readREST(ctx)
	if c.API == REST || !unreadable(err) {
		return r, err
	}
	r, other := c.readConnect(ctx)
	if unreadable(other) {
		return r, err
	}
	c.noREST.Store(true)
	return r, other
}

// unreadable reports whether an answer was none of Frontier's.
func unreadable(err error) bool {
	var e *dialect.Error
	return errors.As(err, &e) && e.Reason == dialect.Unreadable
}

func (c *Client) readREST(ctx context.Context) (dialect.Reading, error) {
	path := organizations + url.PathEscape(c.OrgID) + "/billing/" + url.PathEscape(c.BillingID) + "/balance"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.at(path), nil)
	if err != nil {
		return dialect.Reading{}, err
	}
	return c.ask(r)
}

// readConnect makes a unary call in Connect's JSON: one POST, and the status
// tells whether the reply is the message or an error.
func (c *Client) readConnect(ctx context.Context) (dialect.Reading, error) {
	body, err := json.Marshal(map[string]string{"id": c.BillingID})
	if err != nil {
		return dialect.Reading{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.at(balanceCall), bytes.NewReader(body))
	if err != nil {
		return dialect.Reading{}, err
	}
	r.Header.Set("Content-Type", contentTypeJSON)
	r.Header.Set("Connect-Protocol-Version", "1")
	return c.ask(r)
}

func (c *Client) at(path string) string { return strings.TrimSuffix(c.URL, "/") + path }

// ask sends a request and reads the reply, which has the same shape in both.
func (c *Client) ask(r *http.Request) (dialect.Reading, error) {
	r.Header.Set("Accept", contentTypeJSON)
	r.Header.Set("User-Agent", "") // sends none: since v0.75.0 Frontier parses it anew each time, for 0.1 s
	switch {
	case c.ClientID != "" || c.ClientSecret != "":
		r.SetBasicAuth(c.ClientID, c.ClientSecret)
	case c.Token != "":
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	reply, err := dialect.Ask(c.HTTP, auth.Frontier, r)
	if err != nil {
		return dialect.Reading{}, err
	}
	if reply.Status != http.StatusOK {
		return dialect.Reading{}, readRefusal(reply)
	}
	reading := dialect.Reading{Account: c.BillingID, Time: reply.Time}
	if err := readBalance(&reading, reply.Body); err != nil {
		e := reply.Refusal(auth.Frontier)
		e.Reason, e.Message = dialect.Unreadable, err.Error()
		return dialect.Reading{}, e
	}
	return reading, nil
}

// readBalance reads the reply to a balance. An amount that is zero may be left
// out, and one that is a number is read from its text.
func readBalance(r *dialect.Reading, body []byte) error {
	var reply struct {
		Balance *struct {
			Amount   json.RawMessage `json:"amount"`
			Currency string          `json:"currency"`
		} `json:"balance"`
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return fmt.Errorf("the reply is not the JSON of a balance: %w", err)
	}
	if reply.Balance == nil {
		return errors.New("the reply has no balance")
	}
	text := strings.Trim(string(reply.Balance.Amount), `"`)
	if text == "" || text == "null" {
		text = "0"
	}
	r.Unit = currency
	if reply.Balance.Currency != "" {
		r.Unit = reply.Balance.Currency
	}
	return r.ReadAmount(text)
}

// readRefusal reads a reply that is no balance. What somebody else at this
// address says of a path that is not there is not about the account.
func readRefusal(reply *dialect.Reply) error {
	e := reply.Refusal(auth.Frontier)
	var said struct {
		Code    json.RawMessage `json:"code"`
		Message string          `json:"message"`
	}
	var c connect.Code
	if json.Unmarshal(reply.Body, &said) == nil {
		c = readCode(said.Code)
	}
	switch {
	case c != 0:
		e.Code, e.Reason = c.String(), codes[c].reason
		e.Message = said.Message[:min(len(said.Message), maxQuoted)]
	case e.Reason == dialect.NotFound:
		e.Reason = dialect.Unreadable
	}
	return e
}

// readCode reads a code, which is a number in REST and a name in Connect: 0 if
// there is no such code.
func readCode(text []byte) (c connect.Code) {
	if n, err := strconv.ParseUint(string(text), 10, 32); err == nil && n > 0 && n < uint64(len(codes)) {
		return connect.Code(n)
	}
	if c.UnmarshalText(bytes.Trim(text, `"`)) != nil || int(c) >= len(codes) {
		return 0
	}
	return c
}
