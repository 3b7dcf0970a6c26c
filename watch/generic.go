package watch

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
	"time"

	"github.com/itchyny/gojq"

	"saldo/dialect"
)

// Generic reads a balance from the JSON answer to any HTTP request.
type Generic struct {
	method, url, body string
	headers           map[string]string
	auth, user        string
	secret            string
	amount            *gojq.Code
	unit              *gojq.Code
	fixed             string // the unit, where no answer has it
	HTTP              *http.Client
}

// GenericOptions say what is asked and where in the answer the balance is.
type GenericOptions struct {
	Method  string            // GET if ""
	URL     string            // the whole address
	Body    string            // of a POST
	Headers map[string]string // none of them a secret
	// Auth says where the secret goes: "bearer" (if ""), "basic" (with User),
	// "header:NAME", "query:NAME", or "none".
	Auth, User, Secret string
	Amount             string // jq: text, or a number
	// Unit is a code as "USD", or jq if it begins with a point.
	Unit string
}

const generic = "generic"

// jqTime bounds what an expression may take.
const jqTime = 2 * time.Second

// NewGeneric returns a reader, or what is wrong with the options.
func NewGeneric(o GenericOptions) (*Generic, error) {
	g := &Generic{method: strings.ToUpper(o.Method), url: o.URL, body: o.Body, headers: o.Headers, auth: o.Auth, user: o.User, secret: o.Secret}
	if g.method == "" {
		g.method = http.MethodGet
	}
	if g.method != http.MethodGet && g.method != http.MethodPost {
		return nil, fmt.Errorf("method is %.20q; it has to be GET or POST", o.Method)
	}
	if u, err := url.Parse(o.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("address has to be a whole one, as https://vendor.example/v1/balance")
	}
	if g.auth == "" {
		g.auth = "bearer"
	}
	how, name, named := strings.Cut(g.auth, ":")
	switch {
	case (how == "header" || how == "query") && named && name != "":
	case (how == "bearer" || how == "basic" || how == "none") && !named:
	default:
		return nil, fmt.Errorf(`auth is %.40q; it has to be "bearer", "basic", "none", "header:NAME" or "query:NAME"`, o.Auth)
	}
	var err error
	if g.amount, err = compile("amount", o.Amount); err != nil {
		return nil, err
	}
	switch {
	case o.Unit == "":
		return nil, errors.New(`unit is missing: write a code as "USD", or a jq path as ".currency"`)
	case strings.HasPrefix(o.Unit, "."):
		g.unit, err = compile("unit", o.Unit)
	default:
		g.fixed = o.Unit
	}
	return g, err
}

func compile(what, expression string) (*gojq.Code, error) {
	if expression == "" {
		return nil, fmt.Errorf(`%s is missing: write a jq path as ".data.balance"`, what)
	}
	q, err := gojq.Parse(expression)
	if err != nil {
		return nil, fmt.Errorf("%s: %q is no jq expression: %w", what, expression, err)
	}
	code, err := gojq.Compile(q)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return code, nil
}

// Read asks, and finds the balance in the answer.
func (g *Generic) Read(ctx context.Context) (dialect.Reading, error) {
	r, err := g.request(ctx)
	if err != nil {
		return dialect.Reading{}, err
	}
	reply, err := dialect.Ask(g.HTTP, generic, r)
	if err != nil {
		return dialect.Reading{}, err
	}
	if reply.Status < 200 || reply.Status > 299 {
		return dialect.Reading{}, refusal(generic, reply)
	}
	d := json.NewDecoder(bytes.NewReader(reply.Body))
	d.UseNumber()
	var answer any
	if err := d.Decode(&answer); err != nil {
		return dialect.Reading{}, unreadable(generic, reply, "the answer is not JSON")
	}
	amount, err := evaluate(ctx, g.amount, answer)
	if err != nil {
		return dialect.Reading{}, unreadable(generic, reply, "amount: "+err.Error())
	}
	unit := g.fixed
	if g.unit != nil {
		if unit, err = evaluate(ctx, g.unit, answer); err != nil {
			return dialect.Reading{}, unreadable(generic, reply, "unit: "+err.Error())
		}
	}
	if unit == "" || len(unit) > 16 {
		return dialect.Reading{}, unreadable(generic, reply, fmt.Sprintf("%.40q is no unit", unit))
	}
	out := dialect.Reading{Unit: strings.ToUpper(unit), Time: reply.Time}
	if err := out.ReadAmount(amount); err == nil {
		return out, nil
	}
	a, err := readNumber(strings.TrimSpace(amount))
	if err != nil {
		return dialect.Reading{}, unreadable(generic, reply, fmt.Sprintf("%.40q is no amount", amount))
	}
	return out, out.ReadAmount(a.TextMin(wide, 0))
}

func (g *Generic) request(ctx context.Context) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, g.method, g.url, strings.NewReader(g.body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	if g.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range g.headers {
		r.Header.Set(name, value)
	}
	how, name, _ := strings.Cut(g.auth, ":")
	switch how {
	case "bearer":
		if g.secret != "" {
			r.Header.Set("Authorization", "Bearer "+g.secret)
		}
	case "basic":
		r.SetBasicAuth(g.user, g.secret)
	case "header":
		r.Header.Set(name, g.secret)
	case "query":
		q := r.URL.Query()
		q.Set(name, g.secret)
		r.URL.RawQuery = q.Encode()
	}
	return r, nil
}

// evaluate returns what an expression finds first, as text.
func evaluate(ctx context.Context, code *gojq.Code, answer any) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, jqTime)
	defer cancel()
	found, ok := code.RunWithContext(ctx, answer).Next()
	if !ok {
		return "", errors.New("the path finds nothing in the answer")
	}
	switch v := found.(type) {
	case error:
		return "", fmt.Errorf("jq: %.200s", v)
	case nil:
		return "", errors.New("the path finds nothing in the answer")
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case int:
		return strconv.Itoa(v), nil
	case float64: // of arithmetic in the expression; binary noise is cut off
		return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(v, 'f', 9, 64), "0"), "."), nil
	}
	text, err := gojq.Marshal(found)
	if err != nil || len(text) > 40 {
		return "", errors.New("the path finds no single value")
	}
	if text[0] == '{' || text[0] == '[' || text[0] == 't' || text[0] == 'f' {
		return "", fmt.Errorf("the path finds %s", text)
	}
	return string(text), nil
}

// shortened cuts the decimals of a plain number that are beyond the widest scale.
func shortened(text string) (string, bool) {
	whole, decimals, found := strings.Cut(text, ".")
	if !found || len(decimals) <= wide || strings.ContainsAny(text, "eE") {
		return "", false
	}
	return whole + "." + decimals[:wide], true
}
