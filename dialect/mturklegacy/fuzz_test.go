package mturklegacy

import (
	"encoding/xml"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"saldo/dialect/mturk"
)

// FuzzQuery reads parameters. What is read, net/url reads in the same way; what
// is refused has its reason.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "a=b&c=d", "Reward.1.Amount=0.32&a=%2B+%20", "a=1&a=2", "%", "a=%zz", "a;b", "&&=&", "a=%ff", "\xdb=\x80", "=", "a==b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := appendParameters(nil, text)
		if err != nil {
			var r *refusal
			if !errors.As(err, &r) || r.code != codeQuery || got != nil {
				t.Fatalf("%q: %v, %v", text, got, err)
			}
			if want, err := url.ParseQuery(text); err == nil && strings.Count(text, "&") < maxParameters && allUTF8(want) {
				t.Fatalf("%q is refused: %v", text, r)
			}
			return
		}
		want, err := url.ParseQuery(text)
		if err != nil {
			t.Fatalf("%q is read as %v, and by net/url not: %v", text, got, err)
		}
		for _, p := range got {
			if len(want[p.name]) == 0 || want[p.name][0] != p.value {
				t.Fatalf("%q is read as %v, and by net/url as %v", text, got, want)
			}
			want[p.name] = want[p.name][1:]
		}
		for name, left := range want {
			if len(left) > 0 {
				t.Fatalf("%q: %q of %q is not read", text, left, name)
			}
		}
		signed1(got)
	})
}

func allUTF8(q url.Values) bool {
	for name, values := range q {
		for _, text := range append(values, name) {
			if !utf8.ValidString(text) { // each by itself: two halves of a rune are none
				return false
			}
		}
	}
	return true
}

// FuzzSOAP reads envelopes. What is read is what encoding/xml finds there.
func FuzzSOAP(f *testing.F) {
	_, body, _ := strings.Cut(soapRequest(exampleKey, exampleSecret, exampleTime, "<Request/><Request><a>b</a></Request>"), "\n\n")
	f.Add([]byte(body))
	_, body, _ = strings.Cut(askSOAP("CreateHIT", "<Title>t</Title><Description>d</Description><AssignmentDurationInSeconds>60</AssignmentDurationInSeconds>"+
		"<Reward><Amount>1</Amount><CurrencyCode>USD</CurrencyCode></Reward>"), "\n\n")
	f.Add([]byte(body))
	f.Add([]byte(`<!DOCTYPE a><Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"/>`))
	f.Add([]byte(`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header><x e:mustUnderstand="1"/></e:Header><e:Body/></e:Envelope>`))
	f.Fuzz(func(t *testing.T, message []byte) {
		var c call
		if err := c.readSOAP(message); err != nil {
			var r *refusal
			if !errors.As(err, &r) || r.place != atDoor {
				t.Fatalf("%q: %v", message, err)
			}
			return
		}
		if len(c.requests) != c.results {
			t.Fatalf("%q has %d requests, and %d are kept", message, c.results, len(c.requests))
		}
		for _, n := range c.requests {
			c.in, c.currency = newInput(n), "USD"
			if kind := c.hitType(); c.in.err() == nil && (kind.Title == "" || kind.Reward < 0) {
				t.Fatalf("%q is read as %+v", message, kind)
			}
		}
		var e struct {
			Body struct {
				Operation struct {
					XMLName xml.Name
					Request []struct{}
				} `xml:",any"`
			} `xml:"http://schemas.xmlsoap.org/soap/envelope/ Body"`
		}
		if err := xml.Unmarshal([]byte(strings.TrimPrefix(string(message), "\ufeff")), &e); err != nil {
			t.Fatalf("%q is read, and by encoding/xml not: %v", message, err)
		}
		op := e.Body.Operation
		if op.XMLName.Local != c.operation || op.XMLName.Space != bodySpace+c.version || len(op.Request) != c.results {
			t.Fatalf("%q is read as %+v, and by encoding/xml as %+v", message, c, op)
		}
	})
}

// FuzzTimestamp reads times, which have to come out as they went in.
func FuzzTimestamp(f *testing.F) {
	for _, seed := range []string{exampleTime, "2014-08-15T12:00:00.123+02:00", "2014-08-15T12:00:00", "20140815T120000Z", "2014-08-15T12:00:00,5Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseTimestamp(text)
		if !ok {
			return
		}
		if again, ok := parseTimestamp(got.Format(time.RFC3339Nano)); !ok || !again.Equal(got) {
			t.Fatalf("%q is %v, and that is %v, %t", text, got, again, ok)
		}
		if !strings.HasPrefix(text, got.Format("2006-01-02T15:04:05")) {
			t.Fatalf("%q is %v", text, got)
		}
	})
}

// FuzzAnswer reads what a server may send to the client half.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`<GetAccountBalanceResult><Request><IsValid>True</IsValid></Request><AvailableBalance><Amount>+5.</Amount><CurrencyCode>USD</CurrencyCode></AvailableBalance></GetAccountBalanceResult>`))
	f.Add([]byte(`<Response><Errors><Error><Code>Forbidden</Code><Message>No (12 s)</Message></Error></Errors></Response>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := readAnswer(body)
		if err != nil {
			return
		}
		if withoutTime(a.message) == "" && a.message != "" && !strings.HasSuffix(a.message, ")") {
			t.Fatalf("%q has lost its text", a.message)
		}
		if r, err := a.reading(); err == nil && (r.Unit == "" || r.Text == "" || r.Amount.Text(r.Scale) == "") {
			t.Fatalf("%q is read as %+v", body, r)
		}
	})
}

// FuzzText writes text into XML, from which it has to come back.
func FuzzText(f *testing.F) {
	f.Add("a<b>&\r\x00\xff\ufffe")
	f.Fuzz(func(t *testing.T, text string) {
		var back string
		if err := xml.Unmarshal([]byte("<a>"+string(appendText(nil, text))+"</a>"), &back); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if len([]rune(back)) != len([]rune(text)) {
			t.Fatalf("%q came back as %q", text, back)
		}
	})
}

// FuzzParameters reads parameters as a tree, and out of it what operations read.
// Whatever they are, what is read is what was sent, or it is refused.
func FuzzParameters(f *testing.F) {
	f.Add("Title=a&Reward.1.Amount=0.32&Reward.1.CurrencyCode=USD&ResponseGroup.0=Minimal&ResponseGroup.1=HITDetail")
	f.Add("Reward.Amount=.5&Reward.CurrencyCode=USD&QualificationRequirement.2.LocaleValue.1.Country=US&QualificationRequirement.1.IntegerValue=5")
	f.Add("Title.1.1=a&Title=b&Title=c&.=.&..1=2&1=3&Reward.99999999999=1&ResponseGroup=HITDetail,HITQuestion")
	f.Fuzz(func(t *testing.T, text string) {
		parameters, err := appendParameters(nil, text)
		if err != nil {
			return
		}
		root := treeOf(parameters)
		nodes := 0
		var count func(*node, int)
		count = func(n *node, depth int) {
			if nodes++; depth > maxParts {
				t.Fatalf("%q is %d deep", text, depth)
			}
			for _, c := range n.children {
				count(c, depth+1)
			}
		}
		if count(root, 0); nodes > 1+len(parameters)*maxParts {
			t.Fatalf("%q has %d nodes", text, nodes)
		}
		in := newInput(root)
		if title := in.text("Title"); title != "" && !strings.Contains(text, "Title") {
			t.Fatalf("%q has the title %q", text, title)
		}
		c := &call{in: newInput(root), currency: "USD"}
		kind := c.hitType()
		c.in.groups(0)
		c.in.paging("A", "B")
		var r *refusal
		if err := c.in.err(); err != nil && (!errors.As(err, &r) || r.place != inResult) {
			t.Fatalf("%q: %v", text, err)
		} else if err == nil && (kind.Reward < 0 || kind.Title == "" || kind.AssignmentDuration < leastTime) {
			t.Fatalf("%q is read as %+v", text, kind)
		}
	})
}

// FuzzCents reads amounts. What is read is the same number as math/big reads.
func FuzzCents(f *testing.F) {
	for _, seed := range []string{"5", "0.05", ".5", "+5.00", "5.", "5.000", "0.055", "-1", "-0", "1e2", "..", ".", "+", "", "1_0", "0x1", "00.10", "9999999999999.99", "99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cents, ok := parseCents(text)
		plain := strings.Trim(strings.TrimPrefix(text, "+"), "0123456789.") == ""
		if !ok && !plain {
			return // perhaps a number of a billion digits, to math/big
		}
		want, isNumber := new(big.Rat).SetString(text)
		if ok {
			if !isNumber || want.Mul(want, big.NewRat(100, 1)).Cmp(new(big.Rat).SetInt64(int64(cents))) != 0 {
				t.Fatalf("%q is read as %d cents", text, cents)
			}
			return
		}
		if isNumber && want.Cmp(big.NewRat(int64(mturk.MostCents), 100)) <= 0 && want.Mul(want, big.NewRat(100, 1)).IsInt() {
			t.Fatalf("%q is refused", text)
		}
	})
}
