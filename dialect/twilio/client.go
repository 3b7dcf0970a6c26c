package twilio

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"saldo/auth"
	"saldo/dialect"
	"saldo/money"
)

// DefaultURL is where the vendor answers.
const DefaultURL = "https://api.twilio.com"

// ownerHint is what to do about an account that shows no balance.
const ownerHint = "the account has no balance of its own, or does not exist: ask the owner account"

// maxMessage is how much of a vendor's message is kept.
const maxMessage = 1 << 10

// A Client reads a balance at Twilio, or at a server that speaks as it does.
type Client struct {
	URL        string       // DefaultURL if ""
	AccountSID string       // AC and 32 hexadecimal digits: a main account
	User       string       // the SID of an API key (SK…); AccountSID if ""
	Secret     string       // the user's: of an account its auth token
	HTTP       *http.Client // nil: as [dialect.Ask] says
}

// A balance is a reply of status 200.
type balance struct {
	AccountSID string          `json:"account_sid"`
	Balance    json.RawMessage `json:"balance"` // a string or null; a number is taken as well
	Currency   string          `json:"currency"`
}

// A restException is a reply of another status.
type restException struct {
	Code    json.Number `json:"code"`
	Message string      `json:"message"`
}

// Read returns what the account can spend. A refusal is a [*dialect.Error] with
// the vendor's code and message: NotFound for a sub-account, whose balance is
// that of its owner.
func (c *Client) Read(ctx context.Context) (dialect.Reading, error) {
	if _, ok := parseSID(c.AccountSID); !ok {
		return dialect.Reading{}, &dialect.Error{Dialect: auth.Twilio, Reason: dialect.Refused,
			Message: "an account SID is AC and 32 hexadecimal digits; this is not one, and nothing was asked"}
	}
	url, user := c.URL, c.User
	if url == "" {
		url = DefaultURL
	}
	if user == "" {
		user = c.AccountSID
	}
	url = strings.TrimSuffix(url, "/") + version + "/Accounts/" + c.AccountSID + "/Balance.json"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return dialect.Reading{}, err
	}
	r.SetBasicAuth(user, c.Secret)
	r.Header["Accept"] = typeOf[asJSON]
	reply, err := dialect.Ask(c.HTTP, auth.Twilio, r)
	if err != nil {
		return dialect.Reading{}, err
	}
	if reply.Status != http.StatusOK {
		return dialect.Reading{}, refusal(reply)
	}
	return reading(reply)
}

// reading reads a reply of status 200.
func reading(reply *dialect.Reply) (dialect.Reading, error) {
	unreadable := func(what string) (dialect.Reading, error) {
		return dialect.Reading{}, &dialect.Error{Dialect: auth.Twilio, Reason: dialect.Unreadable, Status: reply.Status, Message: what}
	}
	var b balance
	if err := json.Unmarshal(reply.Body, &b); err != nil || b.Balance == nil {
		return unreadable("the reply is not a balance")
	}
	if string(b.Balance) == "null" {
		return dialect.Reading{}, &dialect.Error{Dialect: auth.Twilio, Reason: dialect.NotFound, Status: reply.Status, Message: ownerHint}
	}
	if !isCurrency(b.Currency) {
		return unreadable("the balance is without a currency")
	}
	r := dialect.Reading{Account: b.AccountSID, Unit: strings.ToUpper(b.Currency), Time: reply.Time}
	if err := readAmount(&r, b.Balance); err != nil {
		return unreadable("the balance is not an amount")
	}
	return r, nil
}

// readAmount reads a JSON string or number.
func readAmount(r *dialect.Reading, raw json.RawMessage) (err error) {
	if raw[0] == '"' {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		err = r.ReadAmount(strings.TrimPrefix(text, "+"))
		r.Text = text
		return err
	}
	if !bytes.ContainsAny(raw, "eE") {
		return r.ReadAmount(string(raw))
	}
	r.Text, r.Scale = string(raw), money.MaxScale
	r.Amount, err = money.ParseNumber(r.Text, r.Scale)
	return err
}

// isCurrency reports whether s can be the code of a unit: 1 to 16 letters,
// digits, '_' and '-'.
func isCurrency(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c|0x20 < 'a' || c|0x20 > 'z' {
			if (c < '0' || c > '9') && c != '_' && c != '-' {
				return false
			}
		}
	}
	return s != "" && len(s) <= 16
}

// refusal reads a reply of another status. What its code says goes before what
// the status says.
func refusal(reply *dialect.Reply) *dialect.Error {
	e := reply.Refusal(auth.Twilio)
	var said restException
	if json.Unmarshal(reply.Body, &said) != nil {
		return e
	}
	e.Code, e.Message = said.Code.String(), strings.ToValidUTF8(said.Message[:min(len(said.Message), maxMessage)], "")
	for i := range faults {
		if n, err := said.Code.Int64(); err == nil && n == int64(faults[i].code) {
			e.Reason = faults[i].reason
			break
		}
	}
	if e.Reason == dialect.NotFound && e.Code != "" {
		e.Message = ownerHint + " (" + e.Message + ")"
	}
	return e
}
