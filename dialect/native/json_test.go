package native

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"saldo/money"
)

// FuzzDecode holds the decoder to encoding/json: what it takes, that takes too,
// with the same texts; what it refuses as broken is, but for what it is stricter
// about.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"id":"a","amount":"1.50","up_to":true,"metadata":{"b":1,"a":"x"}}`,
		`{"id":"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t","amount":-1.5e+3}`,
		`{"id":"a","to":"@fees:USD","count":3,"category":"","usage_unit":"s"}`,
		`{ "amount" : 0.1 , "force" : false }`, `{}`, `[]`, `{"a":{"a":{"a":1}}}`, "{\"reason\":\"\xff\"}", `{"reason":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		given := bytes.Clone(text)
		d := decoder{b: text}
		var it item
		d.item(&it, chargeMembers, nil)
		d.end()
		if !bytes.Equal(text, given) {
			t.Fatal("the text was changed")
		}
		var std map[string]json.RawMessage
		err := json.Unmarshal(text, &std)
		if d.err != nil {
			if d.err.Code == CodeMalformedJSON && err == nil && strict(text) {
				t.Fatalf("%q is refused (%v), but is JSON", text, d.err)
			}
			return
		}
		if err != nil || !utf8.Valid(text) {
			t.Fatalf("%q is taken, but is not JSON: %v", text, err)
		}
		for name, want := range map[string]string{"id": it.id, "category": it.usage.Category} {
			var got string
			if raw, ok := std[name]; ok {
				if err := json.Unmarshal(raw, &got); err != nil || got != want {
					t.Fatalf("%s of %q is %q, want %q (%v)", name, text, want, got, err)
				}
			}
		}
		if raw, ok := std["amount"]; ok {
			a, err1 := it.amount.in(money.Unit{Code: "USD", Scale: 6}, "amount")
			if raw[0] != '"' {
				b, err2 := money.ParseNumber(string(raw), 6)
				if a != b || (err1 == nil) != (err2 == nil) {
					t.Fatalf("amount of %q is %v %v, want %v %v", text, a, err1, b, err2)
				}
			}
		}
		if raw, ok := std["metadata"]; ok {
			var got, want any
			if err := json.Unmarshal(it.note.metadata, &got); err != nil {
				t.Fatalf("metadata %q is written as %q", raw, it.note.metadata)
			}
			json.Unmarshal(raw, &want)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("metadata %q is written as %q", raw, it.note.metadata)
			}
			again := decoder{b: it.note.metadata}
			if out := again.metadata(); !bytes.Equal(out, it.note.metadata) {
				t.Fatalf("%q is not the one form of itself, %q", it.note.metadata, out)
			}
		}
	})
}

// strict reports whether a text has none of what encoding/json mends: bytes that
// are not UTF-8, and halves of surrogate pairs.
func strict(text []byte) bool {
	return utf8.Valid(text) && !strings.Contains(strings.ToLower(string(text)), `\ud`)
}

// FuzzNote: whatever is stored under a text, a reply stays JSON.
func FuzzNote(f *testing.F) {
	f.Add([]byte(`{"name":"x","reason":"y","metadata":{"a":1}}`))
	f.Add([]byte(`{"name":1,"other":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		w := writer{b: []byte{'{'}}
		w.note(parseNote(text))
		w.close()
		if !json.Valid(w.b) {
			t.Fatalf("%q is written as %q", text, w.b)
		}
	})
}

// FuzzRef: what is read as an account's name reads the same written out.
func FuzzRef(f *testing.F) {
	f.Add("01a1ffff-71f2-7e26-8f7c-e1362c814557")
	f.Add("AC01a1ffff71f27e268f7ce1362c814557")
	f.Add("@revenue:USD")
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := parseRef(s)
		if ok && (r.id.IsZero() == (r.role == 0) || r.id.IsSystem()) {
			t.Fatalf("%q is %+v", s, r)
		}
		if ok && r.role == 0 {
			if again, ok := parseRef(r.id.String()); !ok || again != r {
				t.Fatalf("%q is %+v and %+v", s, r, again)
			}
		}
	})
}

func TestQuoted(t *testing.T) {
	for _, s := range []string{"", "a", "\"\\/", "\x00\x1f\x7f", "é😀", strings.Repeat("x\n", 100), "\u2028</script>"} {
		var got string
		if err := json.Unmarshal(appendQuoted(nil, s), &got); err != nil || got != s {
			t.Errorf("%q is written as %s: %v", s, appendQuoted(nil, s), err)
		}
	}
}

// TestDocument holds routes, faults and the OpenAPI document together.
func TestDocument(t *testing.T) {
	var doc struct {
		Paths      map[string]map[string]struct{ OperationID string }
		Components struct {
			Schemas map[string]struct{ Enum []string }
		}
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range routes {
		if got := doc.Paths[r.path][strings.ToLower(r.method)].OperationID; got != r.operation {
			t.Errorf("%s %s is %q in the document, want %q", r.method, r.path, got, r.operation)
		}
	}
	for _, methods := range doc.Paths {
		n += len(methods)
	}
	if n != len(routes) {
		t.Errorf("the document has %d calls, the server %d", n, len(routes))
	}
	codes := doc.Components.Schemas["ErrorCode"].Enum
	if len(codes) != len(faults) {
		t.Errorf("the document has %d codes, the table %d", len(codes), len(faults))
	}
	for i, f := range faults {
		if i < len(codes) && codes[i] != f.code {
			t.Errorf("code %d is %s in the document, %s in the table", i, codes[i], f.code)
		}
	}
}
