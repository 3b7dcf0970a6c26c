package mturk

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"saldo/auth"
	"saldo/dialect/dialecttest"
)

// A signing is how a test signs: another implementation, over strings.
type signing struct {
	key, secret                 string
	region, service, terminator string
	at                          time.Time
	scopeDate                   string
	header                      map[string]string // what is signed, by name
}

func without(name string) func(*signing) { return func(s *signing) { delete(s.header, name) } }

// sign adds X-Amz-Date and Authorization to a request without them, signing
// every header that it has.
func sign(t testing.TB, request, key, secret string, at time.Time) string {
	return signAs(t, request, key, secret, at, func(*signing) {})
}

func signAs(t testing.TB, request, key, secret string, at time.Time, change func(*signing)) string {
	t.Helper()
	head, body, _ := strings.Cut(request, "\n\n")
	s := &signing{key: key, secret: secret, region: "us-east-1", service: "mturk-requester", terminator: "aws4_request", at: at, scopeDate: at.UTC().Format("20060102"), header: map[string]string{}}
	date := at.UTC().Format("20060102T150405Z")
	lines := strings.Split(head, "\n")
	for _, line := range append(lines[1:], "x-amz-date: "+date) {
		name, value, _ := strings.Cut(line, ":")
		name, value = strings.ToLower(name), strings.Join(strings.Fields(value), " ")
		if name == "content-length" { // what is signed by Go and JavaScript, but not in the published example
			continue
		}
		if before, twice := s.header[name]; twice {
			value = before + "," + value
		}
		s.header[name] = value
	}
	change(s)
	names := make([]string, 0, len(s.header))
	for name := range s.header {
		names = append(names, name)
	}
	sort.Strings(names)
	canonical := "POST\n/\n\n"
	for _, name := range names {
		canonical += name + ":" + s.header[name] + "\n"
	}
	canonical += "\n" + strings.Join(names, ";") + "\n" + sha(body)
	scope := strings.Join([]string{s.scopeDate, s.region, s.service, s.terminator}, "/")
	mac := []byte("AWS4" + s.secret)
	for _, part := range []string{s.scopeDate, s.region, s.service, s.terminator, "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + sha(canonical)} {
		h := hmac.New(sha256.New, mac)
		io.WriteString(h, part)
		mac = h.Sum(nil)
	}
	return head + "\nX-Amz-Date: " + date + "\nAuthorization: AWS4-HMAC-SHA256 Credential=" + s.key + "/" + scope +
		", SignedHeaders=" + strings.Join(names, ";") + ", Signature=" + hex.EncodeToString(mac) + "\n\n" + body
}

func sha(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func bodyHash(body string) (h [64]byte) {
	copy(h[:], sha(body))
	return h
}

// Vectors that were computed with an independent implementation and by botocore.
func TestVectors(t *testing.T) {
	key := signingKey([]byte(exampleSecret), "20260901", "us-east-1")
	if got := hex.EncodeToString(key[:]); got != "7f43d5259dc2a19b12fde58c0fe748c8e86b8fc3af8395cab92fa86595fc9f0c" {
		t.Errorf("the signing key is %s", got)
	}
	const canonical = `POST
/

content-type:application/x-amz-json-1.1
host:mturk-requester.us-east-1.amazonaws.com
x-amz-date:20260901T120000Z
x-amz-target:MTurkRequesterServiceV20170117.GetAccountBalance

content-type;host;x-amz-date;x-amz-target
44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a`
	r := dialecttest.Request(t, signed(t, balanceRequest))
	var s signature
	check(t, s.parse(r.Header.Get("Authorization")))
	check(t, s.readTime(r.Header))
	hash := bodyHash("{}")
	got := string(s.appendCanonical(nil, r, &hash))
	if got != canonical {
		t.Errorf("the canonical request is\n%s\nwant\n%s", got, canonical)
	}
	if sha(got) != "81f682a7274e3e0e31f87b4af92f55f510c40da284734a91493cce38f24ce861" {
		t.Errorf("its digest is %s", sha(got))
	}
	const bonus = `{"WorkerId":"A1EXAMPLEWORKER","AssignmentId":"3ASSIGNMENTEXAMPLE","BonusAmount":"1.25","Reason":"Great work","UniqueRequestToken":"bonus-0001"}`
	for target, want := range map[string][2]string{
		"GetAccountBalance": {"{}", exampleSignature},
		"SendBonus":         {bonus, "e87aa2295871cf6ae2f6c139649c6a535f066140ddc00449d1d734f78214dd10"},
	} {
		r.Header.Set("X-Amz-Target", targetPrefix+target)
		hash := bodyHash(want[0])
		sum := hmacOf(key[:], s.appendToSign(nil, r, &hash))
		if got := hex.EncodeToString(sum[:]); got != want[1] {
			t.Errorf("%s is signed %s, want %s", target, got, want[1])
		}
	}
}

func check(t testing.TB, bad *refusal) {
	t.Helper()
	if bad != nil {
		t.Fatal(bad)
	}
}

// What the vendor's own signer makes of any request is found right, once it went
// through the bytes of a connection, and wrong when anything in it is changed.
func TestAgainstTheVendorsSigner(t *testing.T) {
	chance := rand.New(rand.NewPCG(20260901, 4))
	word := func(letters string, most int) string {
		b := make([]byte, chance.IntN(most+1))
		for i := range b {
			b[i] = letters[chance.IntN(len(letters))]
		}
		return string(b)
	}
	const lower, odd = "abcdefghijklmnopqrstuvwxyz", "aZ09-._~ !\"#$%&'()*+,/:;<=>?@[]^`{|}\xc3\xa9"
	for n := range 3000 {
		secret, region := "s"+word(odd, 60), "r"+word(lower+"-0123456789", 30)
		body := word(odd, 200)
		query := url.Values{}
		for range chance.IntN(4) {
			query.Set(word(lower, 8), word(odd, 20))
		}
		r, err := http.NewRequest("POST", "http://"+word(lower, 9)+"h.example:7400/?"+strings.ReplaceAll(query.Encode(), "+", []string{"+", "%20"}[n%2]), strings.NewReader(body))
		must(t, err)
		for range chance.IntN(6) {
			r.Header.Add("X-"+word(lower, 6)+"h", word("ab, ;:=\t", 1)+"v"+strings.Repeat(" ", chance.IntN(4))+word("ab, ;:=", 12))
		}
		r.Header.Set("X-Amz-Target", targetPrefix+"GetAccountBalance")
		if n%3 == 0 {
			r.Header.Set("X-Amz-Content-Sha256", sha(body))
		}
		for _, values := range r.Header { // the signer leaves tabs, which net/http takes away at the ends
			for i := range values {
				values[i] = strings.Trim(values[i], "\t ")
			}
		}
		at := exampleAt.Add(time.Duration(chance.Int64N(int64(365 * 24 * time.Hour)))).Truncate(time.Second)
		must(t, v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: secret}, r, sha(body), service, region, at))

		received := throughWire(t, r)
		if !genuine(received, body, secret, at) {
			t.Fatalf("%d: a genuine signature is refused:\n%v\n%v\n%q", n, received.URL, received.Header, body)
		}
		switch what := chance.IntN(6); what {
		case 0:
			body += "x"
		case 1:
			secret += "x"
		case 2:
			received.Header.Set("X-Amz-Target", targetPrefix+"SendBonus")
		case 3:
			received.Host += "x"
		case 4:
			received.URL.RawQuery += "&x=1"
		case 5:
			auth := received.Header.Get("Authorization")
			last := auth[len(auth)-1]
			received.Header.Set("Authorization", auth[:len(auth)-1]+string("0123456789abcdef0"[strings.IndexByte("0123456789abcdef", last)+1]))
		}
		if genuine(received, body, secret, at) {
			t.Fatalf("%d: a request that was changed is taken for genuine: %v %v", n, received.URL, received.Header)
		}
	}
}

// throughWire writes a request and reads it, as a server does.
func throughWire(t testing.TB, r *http.Request) *http.Request {
	t.Helper()
	var wire bytes.Buffer
	must(t, r.Write(&wire))
	received, err := http.ReadRequest(bufio.NewReader(&wire))
	must(t, err)
	return received
}

// genuine verifies a request without a credential's record.
func genuine(r *http.Request, body, secret string, at time.Time) bool {
	v := &verifier{keys: newKeyring(1)}
	var s signature
	header, bad := authorization(r)
	if bad != nil || s.parse(header) != nil || s.readTime(r.Header) != nil || s.check(r, at) != nil {
		return false
	}
	hash := bodyHash(body)
	return v.matches(&s, s.appendToSign(nil, r, &hash), [][]byte{[]byte("another"), []byte(secret)})
}

// What real connections carry, and net/http puts elsewhere than the other
// headers, is signed too.
func TestSignedOverConnections(t *testing.T) {
	w := dialecttest.Open(t)
	issued := w.Issue(auth.MTurk, w.Account("USD", "3"), auth.Read)
	address := strings.TrimPrefix(w.Serve(New(w.Ledger, w.Auth, Options{})), "http://")
	for name, tt := range map[string]struct {
		extra  string
		change func(*signing)
		body   string // as sent; "{}" if ""
		want   string
	}{
		"few headers":                {},
		"content-length":             {extra: "content-length: 2\n", change: func(s *signing) { s.header["content-length"] = "2" }},
		"user-agent":                 {extra: "User-Agent: aws-sdk  (a ; b)\n"},
		"amz-sdk":                    {extra: "amz-sdk-invocation-id: 1-2-3\namz-sdk-request: attempt=1; max=3\n"},
		"names in any case":          {extra: "X-AMZ-meta: A\nx-Amz-METB: B\n"},
		"spaces":                     {extra: "X-Amz-Note:    many    spaces   \n"},
		"a header twice":             {extra: "X-Amz-Note: b\nX-Amz-Note: a\n"},
		"an empty header":            {extra: "X-Amz-Note:\n"},
		"expect, connection":         {extra: "Connection: keep-alive\nExpect: 100-continue\nTe: trailers\n"},
		"content-sha256":             {extra: "X-Amz-Content-Sha256: " + sha("{}") + "\n"},
		"unsigned payload":           {extra: "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD\n", want: "InvalidSignatureException"},
		"another payload":            {extra: "X-Amz-Content-Sha256: " + sha("[]") + "\n", want: "InvalidSignatureException"},
		"chunked":                    {extra: "Transfer-Encoding: chunked\n", body: "2\r\n{}\r\n0\r\n\r\n"},
		"a port":                     {change: func(s *signing) {}},
		"a header that is not there": {change: func(s *signing) { s.header["x-amz-absent"] = "" }},
		"signed by another name":     {change: func(s *signing) { s.header["x-amz-target"] = "x" }, want: "InvalidSignatureException"},
		"two credentials":            {extra: "Authorization: x\n", change: func(s *signing) { delete(s.header, "authorization") }, want: "more than one Authorization header"},
		"an unsigned target":         {change: func(s *signing) { delete(s.header, "x-amz-target") }, want: "InvalidSignatureException"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.change == nil {
				tt.change = func(*signing) {}
			}
			head := strings.Replace(replaced(balanceRequest, exampleHost, address, "\n\n{}", "\n"+tt.extra+"\n{}"), "Content-Length: 2\n", "", 1)
			text := signAs(t, head, issued.Credential.ID, issued.Secret, time.Now(), tt.change)
			if tt.body != "" {
				text = strings.TrimSuffix(text, "{}") + tt.body
			} else if !strings.Contains(text, "content-length") || !strings.Contains(tt.extra, "content-length") {
				text = strings.Replace(text, "\n\n", "\nContent-Length: 2\n\n", 1)
			}
			top, body, _ := strings.Cut(text, "\n\n")
			c, err := net.Dial("tcp", address)
			must(t, err)
			defer c.Close()
			_, err = io.WriteString(c, strings.ReplaceAll(top, "\n", "\r\n")+"\r\n\r\n"+body)
			must(t, err)
			reader := bufio.NewReader(c)
			resp, err := http.ReadResponse(reader, nil)
			if err == nil && resp.StatusCode == http.StatusContinue {
				resp, err = http.ReadResponse(reader, nil)
			}
			must(t, err)
			answered, err := io.ReadAll(resp.Body)
			must(t, err)
			if want := tt.want; want == "" && resp.StatusCode != 200 || !strings.Contains(string(answered), want) {
				t.Errorf("answered %d %s, want %q", resp.StatusCode, answered, want)
			}
			if resp.Header.Get("Date") == "" {
				t.Error("there is no Date")
			}
		})
	}
}

// HTTP/2 has the same headers under other names.
func TestSignedOverHTTP2(t *testing.T) {
	w := dialecttest.Open(t)
	issued := w.Issue(auth.MTurk, w.Account("USD", "3"), auth.Read)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	protocol := ""
	handler := New(w.Ledger, w.Auth, Options{})
	url := w.Serve(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		protocol = r.Proto
		handler.ServeHTTP(out, r)
	}))
	r := &Client{AccessKeyID: issued.Credential.ID, SecretAccessKey: issued.Secret, URL: url, HTTP: &http.Client{Transport: transport}}
	if got, err := r.Read(t.Context()); err != nil || got.Text != "3.00" || protocol != "HTTP/2.0" {
		t.Errorf("over %s: %+v, %v", protocol, got, err)
	}
}

// A request signed by the header Date, as HTTP or ISO 8601 write it.
func TestDateHeader(t *testing.T) {
	e := openExample(t, "3")
	for _, date := range []string{"Tue, 01 Sep 2026 12:00:00 GMT", exampleTime} {
		request := signAs(t, replaced(balanceRequest, "\n\n", "\nDate: "+date+"\n\n"), exampleKey, exampleSecret, exampleAt, without("x-amz-date"))
		request = replaced(request, "X-Amz-Date: "+exampleTime+"\n", "")
		if resp, body := answer(t, e.server, request); resp.StatusCode != 200 {
			t.Errorf("signed by Date: %s: %d %s", date, resp.StatusCode, body)
		}
	}
	for _, date := range []string{"X-Amz-Date: 20260901T120000.5Z", "X-Amz-Date: Tue, 01 Sep 2026 12:00:00 GMT", "Date: yesterday", "X-Amz-Date: 20260901T120000Z\nX-Amz-Date: 20260901T120000Z", "X-Amz-Date:"} {
		request := replaced(signed(t, balanceRequest), "X-Amz-Date: "+exampleTime, date)
		if _, body := answer(t, e.server, request); !strings.Contains(body, "IncompleteSignatureException") {
			t.Errorf("with %q: %s", date, body)
		}
	}
}

// How old or new a signature may be.
func TestWindow(t *testing.T) {
	e := openExample(t, "3")
	for offset, want := range map[time.Duration]string{
		0: "", -15 * time.Minute: "", 15 * time.Minute: "",
		-15*time.Minute - time.Second: "Signature expired: 20260901T114459Z is now earlier than 20260901T115500Z (20260901T120000Z - 5 min.)",
		15*time.Minute + time.Second:  "Signature not yet current: 20260901T121501Z is still later than 20260901T120500Z (20260901T120000Z + 5 min.)",
	} {
		resp, body := answer(t, e.server, sign(t, balanceRequest, exampleKey, exampleSecret, exampleAt.Add(offset)))
		if want == "" && resp.StatusCode != 200 || !strings.Contains(body, want) {
			t.Errorf("signed %v off: %d %s, want %q", offset, resp.StatusCode, body, want)
		}
	}
	// A day ends within the window.
	midnight := time.Date(2026, 9, 2, 0, 0, 0, 0, time.UTC)
	e.Clock.Set(midnight)
	for _, offset := range []time.Duration{-time.Minute, 0, time.Minute} {
		if resp, body := answer(t, e.server, sign(t, balanceRequest, exampleKey, exampleSecret, midnight.Add(offset))); resp.StatusCode != 200 {
			t.Errorf("at midnight, %v off: %d %s", offset, resp.StatusCode, body)
		}
	}
}

// Everything that is in a header Authorization or that it names.
func TestAuthorization(t *testing.T) {
	e := openExample(t, "3")
	good := signed(t, balanceRequest)
	const incomplete, missing, wrong = "IncompleteSignatureException", "MissingAuthenticationTokenException", "InvalidSignatureException"
	for _, tt := range []struct{ old, new, want string }{
		{", SignedHeaders", ",SignedHeaders", ""},
		{", Signature", " ,  Signature", ""},
		{"AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256   ", ""},
		{", Signature", ", Unknown=1, Signature", ""},
		{", Signature", ",, Signature", ""},
		{"Authorization: ", "Authorization:\nX-Other: ", missing},
		{"Authorization: ", "Authorization: AWS4-HMAC-SHA256 x=1\nAuthorization: ", incomplete},
		{"AWS4-HMAC-SHA256 ", "aws4-hmac-sha256 ", incomplete},
		{"AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA512 ", incomplete},
		{"AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256", incomplete},
		{"AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 nothing, ", incomplete},
		{"/aws4_request", "/aws4_request/x", incomplete},
		{"Credential=AKIDEXAMPLE", "Credential=AKID/EXAMPLE", incomplete},
		{"SignedHeaders=content-type;host;x-amz-date;x-amz-target", "SignedHeaders=", incomplete},
		{"Signature=" + exampleSignature, "Signature=", incomplete},
		{"Signature=" + exampleSignature, "Signature=" + strings.ToUpper(exampleSignature), wrong},
		{"Signature=" + exampleSignature, "Signature=" + exampleSignature[:63], wrong},
		{"Signature=" + exampleSignature, "Signature=" + exampleSignature + "0", wrong},
		{"content-type;host", "Content-Type;host", wrong},
		{"host;x-amz-date", "x-amz-date;host", wrong},
		{"content-type;host", "content-type;host;host", wrong},
		{"x-amz-target, Signature", "x-amz-target;, Signature", wrong},
		{"POST / ", "POST /?X-Amz-Signature=" + exampleSignature + " ", wrong},
		{"Credential=AKIDEXAMPLE", "Credential=", "UnrecognizedClientException"},
		{"Credential=AKIDEXAMPLE", "Credential=akidexample", "UnrecognizedClientException"},
	} {
		resp, body := answer(t, e.server, replaced(good, tt.old, tt.new))
		if tt.want == "" && resp.StatusCode != 200 || !strings.Contains(body, tt.want) {
			t.Errorf("with %q for %q: %d %s, want %q", tt.new, tt.old, resp.StatusCode, body, tt.want)
		}
	}
	// Who mistakes the secret for the key id finds it in no answer.
	swapped := signed(t, balanceRequest)
	swapped = replaced(swapped, "Credential="+exampleKey, "Credential="+exampleSecret)
	for _, request := range []string{swapped, replaced(swapped, "SignedHeaders=", "Signed="), replaced(swapped, "Signature=", "Signature,x")} {
		if _, body := answer(t, e.server, request); strings.Contains(body, "wJalr") {
			t.Errorf("the answer tells the secret: %s", body)
		}
	}
	// A presigned request is none of this API's.
	presigned := replaced(balanceRequest, "POST / ", "POST /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00 ")
	if _, body := answer(t, e.server, presigned); !strings.Contains(body, missing) {
		t.Errorf("a presigned request: %s", body)
	}
}

func TestQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"":                      "",
		"a=1":                   "a=1",
		"b=2&a=1":               "a=1&b=2",
		"a=2&a=1&a=":            "a=&a=1&a=2",
		"a":                     "a=",
		"&&a&":                  "a=",
		"a=b=c":                 "a=b%3Dc",
		"a=%7e%2D%2f":           "a=~-%2F",
		"a=x+y%20z":             "a=x%20y%20z",
		"a=100%":                "a=100%25",
		"%C3%A9=%c3%a9&z=1&Z=2": "%C3%A9=%C3%A9&Z=2&z=1",
		"a-b=1&a=2":             "a=2&a-b=1",
	} {
		if got := string(appendQuery(nil, raw)); got != want {
			t.Errorf("the query %q is signed as %q, want %q", raw, got, want)
		}
	}
}

func TestFolded(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a": "a", "  a  ": "a", "a  b": "a b", "a   b  c d": "a b c d", "\t a \t": "a", `"a  b"`: `"a b"`, "    ": "",
	} {
		if got := string(appendFolded(nil, in)); got != want {
			t.Errorf("%q is folded to %q, want %q", in, got, want)
		}
	}
}

// A header that is listed a thousand times is not hashed a thousand times.
func TestCanonicalIsBounded(t *testing.T) {
	r := dialecttest.Request(t, "POST / HTTP/1.1\nX-Large: "+strings.Repeat("x", 8000)+"\n\n")
	s := signature{signed: strings.Repeat("x-large;", 1000)}
	hash := bodyHash("")
	if got := len(s.appendCanonical(nil, r, &hash)); got > maxCanonical+20_000 {
		t.Errorf("%d bytes would be hashed", got)
	}
}

func TestKeyring(t *testing.T) {
	k := newKeyring(10)
	var ids [][32]byte
	for n := range 100 {
		id := k.id(fmt.Append(nil, "secret", n), "20260901", "us-east-1")
		if _, ok := k.find(id); ok {
			t.Fatalf("key %d is known before it was kept", n)
		}
		ids = append(ids, id)
		k.keep(id, [32]byte{byte(n)})
		if key, ok := k.find(ids[0]); !ok || key != ([32]byte{0}) {
			t.Fatalf("a key that is in use was forgotten after %d others", n)
		}
		if len(k.young)+len(k.old) > 20 {
			t.Fatalf("%d keys are kept", len(k.young)+len(k.old))
		}
	}
	if _, ok := k.find(ids[1]); ok {
		t.Error("a key that nobody uses is kept for ever")
	}
	distinct := [][32]byte{k.id([]byte("ab"), "d", "r"), k.id([]byte("b"), "d", "ra"), k.id([]byte("ab"), "dr", ""), k.id([]byte("ab"), "e", "r"), newKeyring(1).id([]byte("ab"), "d", "r")}
	slices.SortFunc(distinct, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	if len(slices.Compact(distinct)) != 5 {
		t.Error("keys of different days, regions or rings are taken for each other")
	}
}

// Only who has the secret adds to the ring.
func TestKeyringIsForHolders(t *testing.T) {
	v := &verifier{keys: newKeyring(10)}
	s := signature{date: "20260901", region: "us-east-1", signature: strings.Repeat("0", 64)}
	if v.matches(&s, []byte("text"), [][]byte{[]byte("secret")}) || len(v.keys.young) != 0 {
		t.Error("a wrong signature made a key")
	}
	sum := hmacOf(func() []byte { k := signingKey([]byte("secret"), s.date, s.region); return k[:] }(), []byte("text"))
	s.signature = hex.EncodeToString(sum[:])
	for range 2 {
		if !v.matches(&s, []byte("text"), [][]byte{[]byte("secret")}) || len(v.keys.young) != 1 {
			t.Error("a right signature is refused, or its key not kept")
		}
	}
}

func FuzzAuthorization(f *testing.F) {
	samples, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, sample := range samples {
		text, _ := os.ReadFile("testdata/" + sample.Name())
		if _, rest, ok := strings.Cut(string(text), "\nAuthorization: "); ok {
			header, _, _ := strings.Cut(rest, "\n")
			f.Add(header, exampleTime)
		}
	}
	f.Fuzz(func(t *testing.T, header, date string) {
		r := &http.Request{Method: "POST", Host: exampleHost, URL: &url.URL{Path: "/"}, Header: http.Header{"Authorization": {header}, "X-Amz-Date": {date}}}
		var s signature
		bad := s.parse(header)
		if bad == nil {
			bad = s.readTime(r.Header)
		}
		if bad == nil {
			bad = s.check(r, exampleAt)
		}
		if bad != nil {
			if bad.kind == "" || bad.said() == "" || len(bad.said()) > 2000 {
				t.Errorf("refused with %v", bad)
			}
			return
		}
		if strings.Join([]string{s.keyID, s.date, s.region, s.service, s.terminator}, "/") == "" || !strings.Contains(header, s.keyID) || s.date != date[:8] {
			t.Errorf("%q was read as %+v", header, s)
		}
		hash := bodyHash("{}")
		toSign := string(s.appendToSign(nil, r, &hash))
		if lines := strings.Split(toSign, "\n"); len(lines) < 4 || len(lines[len(lines)-1]) != 64 {
			t.Errorf("what is signed is %q", toSign)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "a=1&b=%20", "%zz&a=+", "a=b=c&&d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		once := string(appendQuery(nil, raw))
		if twice := string(appendQuery(nil, once)); twice != once {
			t.Errorf("%q is signed as %q, and that as %q", raw, once, twice)
		}
		if strings.Trim(once, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%=&") != "" {
			t.Errorf("%q is signed as %q", raw, once)
		}
	})
}

// TestHMAC holds the short way beside the library's.
func TestHMAC(t *testing.T) {
	for n := range 200 {
		key, text := bytes.Repeat([]byte{byte(n)}, n), bytes.Repeat([]byte{byte(n), 1}, 7*n)
		mac := hmac.New(sha256.New, key)
		mac.Write(text)
		if sum := hmacOf(key, text); !bytes.Equal(sum[:], mac.Sum(nil)) {
			t.Errorf("a key of %d and a text of %d bytes: %x", len(key), len(text), sum)
		}
	}
}
