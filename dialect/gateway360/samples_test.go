package gateway360

import (
	"io"
	"strings"
	"testing"

	"saldo/auth"
	"saldo/dialect/dialecttest"
	"saldo/dialect/native"
)

// What each call is asked with beside the key, as the manual's samples have it
// (without their comma too many).
var manualBodies = map[string]string{
	"country-pricing": `,"country_code":"ES"`,
	"prefix-pricing":  `,"prefix":"34"`,
	"get-info":        `,"user_name":"subaccount_user_name"`,
	"add-balance":     `,"user_name":"subaccount_user_name","amount":"150"`,
	"deduct-balance":  `,"user_name":"subaccount_user_name","amount":"150"`,
	"create":          `,"user_name":"new_subaccount_user_name"` + person1,
	"delete":          `,"user_name":"subaccount_user_name"`,
	"send": `,"report_url":"http://yourserver.com/callback/script","concat":1,"messages":[` +
		`{"from":"GOOD PIZZA","to":"34666666111","text":"Hi John, today 2x1 in pizzas","custom":"MyMsgID1","send_at":"2018-02-18 17:30:00"},` +
		`{"from":"GOOD PIZZA","to":"34666666112","text":"Hi Anne, today 2x1 in pizzas"}]`,
}

var callPaths = map[string]string{
	"country-pricing": pathCountryPricing, "prefix-pricing": pathPrefixPricing, "get-info": pathSubaccountInfo, "add-balance": pathSubaccountAdd,
	"deduct-balance": pathSubaccountDeduct, "create": pathSubaccountCreate, "delete": pathSubaccountDelete, "send": pathSend,
}

// TestSampleCalls holds exchanges of the calls around the balance to testdata:
// what each answers, and every refusal that the manual or a client has of it.
func TestSampleCalls(t *testing.T) {
	w := dialecttest.Open(t)
	h := New(w.Ledger, w.Auth, Options{Prices: prices(t), Sink: quiet})
	mute := New(w.Ledger, w.Auth, Options{Prices: prices(t)})
	account := w.Account("EUR", "350.12")
	name(w, "subaccount_user_name", w.Open(native.AccountRequest{Parent: account.String()}, "5.2493"))
	name(w, "credits_user_name", w.Open(native.AccountRequest{Parent: account.String(), Unit: "CREDITS"}, "1225"))
	scopes := auth.Read | auth.Charge | auth.Admin
	spec := auth.Spec{Dialect: auth.Gateway360, Tenant: w.Tenant.Number, Root: account, Scopes: scopes}
	if _, err := w.Auth.Import(t.Context(), 0, "", spec, "", manualKey); err != nil {
		t.Fatal(err)
	}
	words := []string{"READ_KEY", w.Issue(auth.Gateway360, account, auth.Read).Secret, "CHARGE_KEY", w.Issue(auth.Gateway360, account, auth.Charge).Secret,
		"POOR_KEY", w.Issue(auth.Gateway360, w.Account("EUR", "0.05"), scopes).Secret}
	masks := []dialecttest.Masking{dialecttest.Mask(`"sms_id":"[0-9a-f]{32}"`, `"sms_id":"SMS_ID"`), dialecttest.Mask(`"api_key":"[0-9a-f]{32}"}}`, `"api_key":"NEW_KEY"}}`)}
	sample := func(name, request string, status int, says string) {
		t.Helper()
		to := h
		if strings.HasPrefix(name, "send-disabled") {
			to = mute
		}
		resp := dialecttest.Sample(t, to, name, request, masks, words...)
		body, err := io.ReadAll(resp.Body)
		if err == nil {
			err = isAnswer(resp, body)
		}
		if err != nil || resp.StatusCode != status || !strings.Contains(string(body), says) {
			t.Errorf("%s: %d %s, want %d %s: %v", name, resp.StatusCode, body, status, says, err)
		}
	}
	body := func(call, key string) string { return `{"api_key":"` + key + `"` + manualBodies[call] + `}` }
	with := func(call, was, is string) string {
		return post(callPaths[call], strings.Replace(body(call, manualKey), was, is, 1))
	}

	sample("country-pricing", with("country-pricing", "", ""), 200, `"price":"0.0450"`)
	sample("country-pricing-all", with("country-pricing", manualBodies["country-pricing"], ""), 200, `"country_code":"GB"`)
	sample("country-pricing-bad-params", with("country-pricing", "ES", "Spain"), 400, idBad)
	sample("prefix-pricing", with("prefix-pricing", "", ""), 200, `"prefix":"346"`)
	sample("prefix-pricing-bad-params", with("prefix-pricing", "34", "+34"), 400, idBad)
	sample("get-info", with("get-info", "", ""), 200, `"balance":"5.2493"`)
	sample("add-balance", with("add-balance", "", ""), 200, `{"status":"ok","result":{"balance":"155.2493","currency":"EUR"}}`)
	sample("add-balance-number", with("add-balance", `"150"`, `0.0007`), 200, `"155.2500"`)
	sample("add-balance-not-enough-balance", with("add-balance", `"150"`, `"1500"`), 402, `{"status":"error","error_id":"NOT_ENOUGH_BALANCE","error_msg":"Your account has no funds."}`)
	sample("add-balance-units", with("add-balance", "subaccount_user_name", "credits_user_name"), 400, "EUR and the subaccount in CREDITS")
	sample("add-balance-negative", with("add-balance", `"150"`, `"-150"`), 400, idBad)
	sample("add-balance-decimals", with("add-balance", `"150"`, `"1.2345678"`), 400, idBad)
	sample("deduct-balance", with("deduct-balance", "", ""), 200, `"5.2500"`)
	sample("deduct-balance-not-enough-balance", with("deduct-balance", "", ""), 402, idFunds)
	sample("create", with("create", "", ""), 200, `{"status":"ok","result":{"user_name":"new_subaccount_user_name","password":"new_subaccount_password","api_key":"`)
	sample("create-taken", with("create", "", ""), 400, "name of an account already")
	sample("delete", with("delete", "", ""), 200, `"status":"ok"`)
	sample("delete-unknown", with("delete", "", ""), 400, idBad)
	sample("delete-units", with("delete", "subaccount_user_name", "credits_user_name"), 400, "in CREDITS")

	sample("send", with("send", "", ""), 200, `"custom":"MyMsgID1"},{"status":"ok"`)
	sample("send-fake", with("send", `"concat"`, `"fake":1,"concat"`), 200, `"status":"ok","sms_id"`)
	sample("send-not-enough-balance", post(pathSend, body("send", "POOR_KEY")), 200, `"error_id":"NOT_ENOUGH_BALANCE","error_msg":"Your account has no funds."`)
	sample("send-invalid-sender", with("send", "GOOD PIZZA", "THE VERY GOOD PIZZA"), 200, idSender)
	sample("send-invalid-destination", with("send", "34666666111", "+34666666111"), 200, idDestination)
	sample("send-invalid-datetime", with("send", "2018-02-18 17:30:00", "18/02/2018"), 200, idDateTime)
	sample("send-bad-params", with("send", `"messages":[`, `"messages":7,"x":[`), 400, "\"error_id\":\"BAD_PARAMS\",\"error_msg\":\"Parameter `messages` must be an array.\"")
	sample("send-disabled", with("send", "", ""), 403, idNoSink)
	sample("send-disabled-fake", with("send", `"concat"`, `"fake":1,"concat"`), 200, `"status":"ok","sms_id"`)
	sample("send-idempotency-key", strings.Replace(with("send", "", ""), "\n", "\nIdempotency-Key: order-17\n", 1), 200, `"status":"ok","sms_id"`)
	sample("send-idempotency-key-other", strings.Replace(with("send", "34666666112", "34666666113"), "\n", "\nIdempotency-Key: order-17\n", 1), 400, "another request")

	for call, path := range callPaths { // what the manual lists on every page
		good := body(call, manualKey)
		sample(call+"-unauthorized", post(path, body(call, "00000000000000000000000000000000")), 401, "Your API key may be invalid or your IP is blocked.")
		sample(call+"-json-parse-error", post(path, strings.TrimSuffix(good, "}")+",}"), 400, "Your JSON was formatted incorrectly.")
		sample(call+"-invalid-content-type", strings.Replace(post(path, good), "application/json", "text/plain", 1), 400, idContentType)
		sample(call+"-missing-params", post(path, `{"x":1`+manualBodies[call]+`}`), 400, idMissing)
		if call != "country-pricing" { // to which only the key is mandatory
			sample(call+"-missing-params-other", post(path, `{"api_key":"`+manualKey+`"}`), 400, idMissing)
		}
		key := "READ_KEY"
		if s := routeOf(path); s.scope == auth.Read {
			key = "CHARGE_KEY"
		}
		sample(call+"-forbidden", post(path, body(call, key)), 403, idForbidden)
	}
}

func routeOf(path string) *route {
	for i := range routes {
		if routes[i].path == path {
			return &routes[i]
		}
	}
	return nil
}
