package frontier_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/ledger"
)

// A shop is a world whose server sees each request come from somewhere else, so
// that wrong credentials are not throttled.
type shop struct {
	*dialecttest.World
	url                     string
	account, poor, stranger ledger.AccountID
	id, secret              string
}

func openShop(t *testing.T) *shop {
	s := &shop{World: dialecttest.Open(t)}
	var from atomic.Uint32
	s.url = s.Serve(serve(s.World, dialect.Options{ClientAddr: func(*http.Request) netip.Addr {
		n := from.Add(1)
		return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})
	}}))
	parent := s.Account("CREDITS", "")
	s.account = s.Open(accountBelow(parent), "9007199254740993.5")
	s.poor = s.Open(accountBelow(parent), "")
	s.stranger = s.Account("CREDITS", "1")
	issued := s.Issue(auth.Frontier, parent, auth.Read)
	s.id, s.secret = issued.Credential.ID, issued.Secret
	return s
}

// TestRESTClient runs npm @raystack/frontier.
func TestRESTClient(t *testing.T) {
	s := openShop(t)
	node := dialecttest.Node(t, "rest.mjs", "URL="+s.url)
	org, id := s.Tenant.ID.String(), s.account.String()
	reads := func(amount string) {
		t.Helper()
		var got struct {
			Balance struct {
				Amount    string
				Currency  string
				UpdatedAt *string `json:"updated_at"`
			}
		}
		node.Returns(&got, "basic", org, id, s.id, s.secret)
		if b := got.Balance; b.Amount != amount || b.Currency != "VC" || b.UpdatedAt != nil {
			t.Errorf("read %+v, want %s", b, amount)
		}
	}
	reads("9007199254740993")
	s.Charge(s.account, "0.6")
	reads("9007199254740992")
	s.Charge(s.account, "2")
	reads("9007199254740990")
	refused := func(status, code int, message, call string, args ...any) {
		t.Helper()
		node.Raises(map[string]any{"status": status, "code": code, "message": message, "details": "[]"}, call, args...)
	}
	refused(401, 16, "not authenticated", "nobody", org, id)
	refused(401, 16, "not authenticated", "basic", org, id, s.id, "wrong")
	refused(401, 16, "not authenticated", "bearer", org, id, s.secret)
	refused(400, 3, "invalid GetBillingBalanceRequest.Id: value must be a valid UUID | caused by: invalid uuid format", "nobody", org, "x")
	refused(403, 7, "invalid arguments", "basic", "main", id, s.id, s.secret)
	refused(403, 7, "not authorized", "basic", org, s.stranger.String(), s.id, s.secret)
	refused(404, 5, "customer doesn't exist", "basic", org, nobody, s.id, s.secret)
	refused(404, 5, "Not Found", "basic", "", id, s.id, s.secret)
}

// TestProton runs npm @raystack/proton over every transport.
func TestProton(t *testing.T) {
	s := openShop(t)
	node := dialecttest.Node(t, "proton.ts", "URL="+s.url)
	var transports []string
	node.Returns(&transports, "transports")
	if len(transports) < 8 {
		t.Fatalf("transports are %q", transports)
	}
	left := 9007199254740993
	right := "Basic " + basic(s.id, s.secret)
	for _, name := range transports {
		reads := func(account ledger.AccountID, amount string) {
			t.Helper()
			var got struct {
				Amount, Currency string
				Dated            bool
			}
			node.Returns(&got, "read", name, account.String(), right)
			if got.Amount != amount || got.Currency != "VC" || got.Dated {
				t.Errorf("%s: read %+v, want %s", name, got, amount)
			}
		}
		reads(s.account, fmt.Sprint(left))
		s.Charge(s.account, "1")
		left--
		reads(s.account, fmt.Sprint(left))
		reads(s.poor, "0")
		refused := func(word string, code int, message, violated string, args ...any) {
			t.Helper()
			node.Raises(map[string]any{"type": "ConnectError", "word": word, "code": code, "rawMessage": message, "violated": violated}, "read", append([]any{name}, args...)...)
		}
		refused("Unauthenticated", 16, "not authenticated", "[]", s.account.String(), "")
		refused("Unauthenticated", 16, "not authenticated", "[]", s.account.String(), "Basic "+basic(s.id, "wrong"))
		refused("PermissionDenied", 7, "not authorized", "[]", s.stranger.String(), right)
		refused("NotFound", 5, "not found", "[]", nobody, right)
		refused("InvalidArgument", 3, "validation error:\n - id: value must be a valid UUID [string.uuid]", "[buf.validate.Violations]", "x", right)
	}
}

// TestPythonGRPC runs Debian's python3-grpcio.
func TestPythonGRPC(t *testing.T) {
	s := openShop(t)
	python := dialecttest.Python(t, "generic.py", "ADDRESS="+strings.TrimPrefix(s.url, "http://"))
	reads := func(account ledger.AccountID, amount string) {
		t.Helper()
		var got struct{ Amount, Currency string }
		python.Returns(&got, "read", account.String(), s.id, s.secret)
		if got.Amount != amount || got.Currency != "VC" {
			t.Errorf("read %+v, want %s", got, amount)
		}
	}
	reads(s.account, "9007199254740993")
	s.Charge(s.account, "1")
	reads(s.account, "9007199254740992")
	reads(s.poor, "0")
	refused := func(code, message string, args ...any) {
		t.Helper()
		python.Raises(map[string]any{"type": "RpcError", "is_rpc_error": true, "code": code, "message": message}, "read", args...)
	}
	refused("UNAUTHENTICATED", "not authenticated", s.account.String(), "", "")
	refused("UNAUTHENTICATED", "not authenticated", s.account.String(), s.id, "wrong")
	refused("PERMISSION_DENIED", "not authorized", s.stranger.String(), s.id, s.secret)
	refused("NOT_FOUND", "not found", nobody, s.id, s.secret)
	refused("INVALID_ARGUMENT", "validation error:\n - id: value must be a valid UUID [string.uuid]", "x", s.id, s.secret)
	var serving int
	if python.Returns(&serving, "health"); serving != 1 {
		t.Errorf("health is %d", serving)
	}
}

// TestCurl runs the command of Frontier's page.
func TestCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip(err)
	}
	s := openShop(t)
	curl := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("curl", append([]string{"-sS", "--max-redirs", "0", "-w", " %{http_code}"}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	at := s.url + "/v1beta1/organizations/" + s.Tenant.ID.String() + "/billing/" + s.account.String() + "/balance"
	s.Charge(s.account, "0.5")
	for got, want := range map[string]string{
		curl("-L", "-X", "GET", at, "-H", "Accept: application/json", "-u", s.id+":"+s.secret): `{"balance":{"amount":"9007199254740993", "currency":"VC", "updated_at":null}} 200`,
		curl(at): `{"code":16, "message":"not authenticated", "details":[]} 401`,
		curl("-I", "-o", "/dev/null", at, "-u", s.id+":"+s.secret):                                                                        ` 501`,
		curl(s.url+balanceCall, "-u", s.id+":"+s.secret, "-H", "Content-Type: application/json", "-d", `{"id":"`+s.account.String()+`"}`): `{"balance":{"amount":"9007199254740993","currency":"VC"}} 200`,
		curl("--http2-prior-knowledge", s.url+"/ping"):                                                                                    `{"status":"SERVING"} 200`,
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
