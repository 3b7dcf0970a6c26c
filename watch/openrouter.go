package watch

import (
	"context"
	"encoding/json"
	"net/http"

	"saldo/dialect"
	"saldo/money"
)

// OpenRouterURL is where OpenRouter answers.
const OpenRouterURL = "https://openrouter.ai"

// OpenRouter reads the credits of an account at OpenRouter, in USD: what was
// bought less what was used, GET /api/v1/credits, which wants a management key
// (openrouter.ai/docs, "Get remaining credits", read 2026-11). Both are JSON
// numbers, read from their text.
type OpenRouter struct {
	URL    string // OpenRouterURL if ""
	APIKey string
	HTTP   *http.Client
}

const openRouter = "openrouter"

// Read asks for the credits.
func (o *OpenRouter) Read(ctx context.Context) (dialect.Reading, error) {
	reply, err := ask(ctx, o.HTTP, openRouter, first(o.URL, OpenRouterURL)+"/api/v1/credits", o.APIKey)
	if err != nil {
		return dialect.Reading{}, err
	}
	var c struct {
		Data struct {
			Total json.Number `json:"total_credits"`
			Used  json.Number `json:"total_usage"`
		} `json:"data"`
	}
	if err := json.Unmarshal(reply.Body, &c); err != nil || c.Data.Total == "" || c.Data.Used == "" {
		return dialect.Reading{}, unreadable(openRouter, reply, "the answer has no total_credits and total_usage")
	}
	total, err1 := readNumber(c.Data.Total.String())
	used, err2 := readNumber(c.Data.Used.String())
	left, ok := total.Sub(used)
	if err1 != nil || err2 != nil || !ok {
		return dialect.Reading{}, unreadable(openRouter, reply, "the credits are not amounts")
	}
	r := dialect.Reading{Unit: "USD", Time: reply.Time}
	return r, r.ReadAmount(left.TextMin(wide, 2))
}

// readNumber reads a JSON number. Sums of binary fractions come with more
// digits than they have to say: those beyond the widest scale are cut off.
func readNumber(text string) (money.Amount, error) {
	a, err := money.ParseNumber(text, wide)
	if err == nil {
		return a, nil
	}
	if cut, ok := shortened(text); ok {
		return money.ParseNumber(cut, wide)
	}
	return a, err
}
