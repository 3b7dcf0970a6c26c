package gateway360

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"saldo/auth"
	"saldo/dialect"
)

// DefaultURL is where the platform answers.
const DefaultURL = "https://api.gateway360.com"

// A Client reads a balance at the platform, or at a server that speaks as it does.
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
	url, path := c.URL, pathBalance
	if url == "" {
		url = DefaultURL
	}
	if c.UserName != "" {
		path = pathSubaccountBalance
	}
	body, err := json.Marshal(request{c.APIKey, c.UserName})
	if err != nil {
		return dialect.Reading{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "/")+path, bytes.NewReader(body))
	if err != nil {
		return dialect.Reading{}, err
	}
	r.Header["Content-Type"], r.Header["Accept"] = typeJSON, typeJSON
	answer, err := dialect.Ask(c.HTTP, auth.Gateway360, r)
	if err != nil {
		return dialect.Reading{}, err
	}
	return c.reading(answer)
}

// reading reads an answer.
func (c *Client) reading(answer *dialect.Reply) (dialect.Reading, error) {
	var said reply
	if err := json.Unmarshal(answer.Body, &said); err != nil || said.Status == "" {
		return dialect.Reading{}, answer.Refusal(auth.Gateway360)
	}
	if said.Status != "ok" || answer.Status/100 != 2 {
		return dialect.Reading{}, c.refusal(answer, &said)
	}
	got := dialect.Reading{Account: c.UserName, Time: answer.Time}
	var res result
	err := json.Unmarshal(said.Result, &res)
	if err == nil {
		got.Unit = res.Currency
		err = got.ReadAmount(amount(res.Balance))
	}
	if err == nil && got.Unit == "" {
		err = fmt.Errorf("there is no currency")
	}
	if err != nil {
		return dialect.Reading{}, &dialect.Error{Dialect: auth.Gateway360, Reason: dialect.Unreadable, Status: answer.Status, Message: err.Error()}
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
