package watch

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"saldo/dialect"
)

// DeepSeekURL is where DeepSeek answers.
const DeepSeekURL = "https://api.deepseek.com"

// DeepSeek reads the balance of an account at DeepSeek, granted and topped up
// together: GET /user/balance (api-docs.deepseek.com, "Get User Balance", read
// 2026-11). It has one for each currency, as text.
type DeepSeek struct {
	URL      string // DeepSeekURL if ""
	APIKey   string
	Currency string // which one; "": USD if there is one, else the first
	HTTP     *http.Client
}

const deepSeek = "deepseek"

// Read asks for the balance.
func (d *DeepSeek) Read(ctx context.Context) (dialect.Reading, error) {
	reply, err := ask(ctx, d.HTTP, deepSeek, first(d.URL, DeepSeekURL)+"/user/balance", d.APIKey)
	if err != nil {
		return dialect.Reading{}, err
	}
	var b struct {
		Infos []struct {
			Currency string `json:"currency"`
			Total    string `json:"total_balance"`
		} `json:"balance_infos"`
	}
	if err := json.Unmarshal(reply.Body, &b); err != nil || len(b.Infos) == 0 {
		return dialect.Reading{}, unreadable(deepSeek, reply, "the answer has no balance_infos")
	}
	chosen := &b.Infos[0]
	want := first(d.Currency, "USD")
	found := d.Currency == ""
	for i := range b.Infos {
		if strings.EqualFold(b.Infos[i].Currency, want) {
			chosen, found = &b.Infos[i], true
		}
	}
	if !found {
		return dialect.Reading{}, &dialect.Error{Dialect: deepSeek, Reason: dialect.NotFound, Status: reply.Status,
			Message: "the account has no balance in " + d.Currency}
	}
	r := dialect.Reading{Unit: strings.ToUpper(chosen.Currency), Time: reply.Time}
	if err := r.ReadAmount(chosen.Total); err != nil || r.Unit == "" {
		return dialect.Reading{}, unreadable(deepSeek, reply, "the balance is not an amount with a currency")
	}
	return r, nil
}

// ask sends a GET with a bearer token, and returns a reply of status 200.
func ask(ctx context.Context, client *http.Client, name, url, token string) (*dialect.Reply, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	reply, err := dialect.Ask(client, name, r)
	if err != nil {
		return nil, err
	}
	if reply.Status != http.StatusOK {
		return nil, refusal(name, reply)
	}
	return reply, nil
}

// refusal reads a reply of another status than 200. Most APIs say why in
// {"error": {"message": …}}, {"error": "…"} or {"message": "…"}.
func refusal(name string, reply *dialect.Reply) *dialect.Error {
	e := reply.Refusal(name)
	var body struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
	}
	if json.Unmarshal(reply.Body, &body) != nil {
		return e
	}
	e.Message = body.Message
	var inner struct {
		Message string `json:"message"`
	}
	var text string
	if json.Unmarshal(body.Error, &inner) == nil && inner.Message != "" {
		e.Message = inner.Message
	} else if json.Unmarshal(body.Error, &text) == nil && text != "" {
		e.Message = text
	}
	if len(e.Message) > 300 {
		e.Message = strings.ToValidUTF8(e.Message[:300], "")
	}
	return e
}

func unreadable(name string, reply *dialect.Reply, what string) *dialect.Error {
	return &dialect.Error{Dialect: name, Reason: dialect.Unreadable, Status: reply.Status, Message: what}
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return strings.TrimSuffix(t, "/")
		}
	}
	return ""
}
