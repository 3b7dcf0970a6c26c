package gateway360

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"saldo/auth"
	"saldo/dialect"
)

// DefaultURL is where the platform answers.
const DefaultURL = "https://api.gateway360.com"

// A Client reads a balance at the platform, or at a server that speaks as it does.
// It is a [Sink] as well: of messages that are sent on with its key.
type Client struct {
	URL      string // DefaultURL if ""
	APIKey   string
	UserName string       // of a sub-account; "": the account of the key
	HTTP     *http.Client // nil: as [dialect.Ask] says
}

// A request is the body of a call.
type request struct {
	APIKey   string `json:"api_key"`
	UserName string `json:"user_name,omitempty"`
}

// A reply is the envelope of every answer.
type reply struct {
	Status  string          `json:"status"`
	Result  json.RawMessage `json:"result"`
	ErrorID string          `json:"error_id"`
	Message string          `json:"error_msg"`
}

// A result is that of a call for a balance.
type result struct {
	Balance  json.RawMessage `json:"balance"` // a string; a number is taken as well
	Currency string          `json:"currency"`
}

// Read returns what the account, or the sub-account, can spend. A refusal is a
// [*dialect.Error] with the platform's error_id and error_msg.
func (c *Client) Read(ctx context.Context) (dialect.Reading, error) {
	path := pathBalance
	if c.UserName != "" {
		path = pathSubaccountBalance
	}
	answer, err := c.ask(ctx, path, request{c.APIKey, c.UserName})
	if err != nil {
		return dialect.Reading{}, err
	}
	return c.reading(answer)
}

// ask makes a call.
func (c *Client) ask(ctx context.Context, path string, body any) (*dialect.Reply, error) {
	url := c.URL
	if url == "" {
		url = DefaultURL
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "/")+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	r.Header["Content-Type"], r.Header["Accept"] = typeJSON, typeJSON
	return dialect.Ask(c.HTTP, auth.Gateway360, r)
}

// A sendRequest is the body of sms/send.
type sendRequest struct {
	APIKey    string    `json:"api_key"`
	ReportURL string    `json:"report_url,omitempty"`
	Concat    int       `json:"concat"`
	Encoding  string    `json:"encoding,omitempty"`
	Messages  []Message `json:"messages"`
}

// A sendResult is that of one message.
type sendResult struct {
	Status string `json:"status"`
	Sent
}

// Send sends messages, and returns what became of each. A refusal of all is a
// [*dialect.Error]; it is an ErrUnknown too where the messages may have been taken.
func (c *Client) Send(ctx context.Context, b *Batch) ([]Sent, error) {
	body := sendRequest{APIKey: c.APIKey, ReportURL: b.ReportURL, Messages: b.Messages}
	if b.Concat {
		body.Concat = 1
	}
	if b.Encoding == ucs2 { // the other is what it is without
		body.Encoding = b.Encoding
	}
	answer, err := c.ask(ctx, pathSend, body)
	if err != nil {
		var never *net.OpError
		if errors.As(err, &never) && never.Op == "dial" {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	sent, err := c.sent(answer, len(b.Messages))
	var e *dialect.Error
	if errors.As(err, &e) && (e.Reason == dialect.Unreadable || answer.Status >= 500 && answer.Status != http.StatusServiceUnavailable) {
		err = fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return sent, err
}

// sent reads the answer to so many messages.
func (c *Client) sent(answer *dialect.Reply, n int) ([]Sent, error) {
	var results []sendResult
	if err := c.result(answer, &results); err != nil {
		return nil, err
	}
	if len(results) != n {
		return nil, unreadable(answer, fmt.Errorf("%d messages have %d results", n, len(results)))
	}
	all := make([]Sent, n)
	for i, r := range results {
		if r.Status != "ok" && r.ErrorID == "" {
			return nil, unreadable(answer, fmt.Errorf("a message is neither taken nor refused"))
		}
		if r.Status == "ok" {
			r.Sent = Sent{SMSID: bounded(r.SMSID)}
		}
		all[i] = Sent{r.SMSID, bounded(r.ErrorID), bounded(r.ErrorMsg)}
	}
	return all, nil
}

// result reads the result of an answer into a value.
func (c *Client) result(answer *dialect.Reply, into any) error {
	var said reply
	if err := json.Unmarshal(answer.Body, &said); err != nil || said.Status == "" {
		return answer.Refusal(auth.Gateway360)
	}
	if said.Status != "ok" || answer.Status/100 != 2 {
		return c.refusal(answer, &said)
	}
	if err := json.Unmarshal(said.Result, into); err != nil {
		return unreadable(answer, err)
	}
	return nil
}

func unreadable(answer *dialect.Reply, err error) error {
	return &dialect.Error{Dialect: auth.Gateway360, Reason: dialect.Unreadable, Status: answer.Status, Message: err.Error()}
}

// reading reads an answer.
func (c *Client) reading(answer *dialect.Reply) (dialect.Reading, error) {
	var res result
	if err := c.result(answer, &res); err != nil {
		return dialect.Reading{}, err
	}
	got := dialect.Reading{Account: c.UserName, Time: answer.Time, Unit: res.Currency}
	err := got.ReadAmount(amount(res.Balance))
	if err == nil && got.Unit == "" {
		err = fmt.Errorf("there is no currency")
	}
	if err != nil {
		return dialect.Reading{}, unreadable(answer, err)
	}
	return got, nil
}

// amount returns the text of an amount: what a string says, or a number's own.
func amount(value json.RawMessage) string {
	if len(value) > 0 && value[0] == '"' {
		return string(unquoted(value))
	}
	return string(value)
}

// maxMessage is how many bytes of error_id and error_msg are kept.
const maxMessage = 512

// refusal reads a refusal: by its id or, where that is none that we know, by
// its status.
func (c *Client) refusal(answer *dialect.Reply, said *reply) error {
	e := answer.Refusal(auth.Gateway360)
	e.Code, e.Message = bounded(said.ErrorID), bounded(said.Message)
	if f := faultOf(said.ErrorID); f != nil {
		e.Reason = f.reason
	} else if answer.Status/100 == 2 {
		e.Reason = dialect.Refused
	}
	if said.ErrorID == idBad && c.UserName != "" {
		e.Reason = dialect.NotFound // all else that was sent is as it has to be
	}
	return e
}

func bounded(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxMessage)], "")
}
