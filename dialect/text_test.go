package dialect

import (
	"encoding/json"
	"testing"
)

func TestSetMembers(t *testing.T) {
	type members = map[string]json.RawMessage
	for _, c := range []struct {
		text string
		set  members
		want string
	}{
		{``, nil, `{}`},
		{`null`, members{"name": []byte(`"Ann"`)}, `{"name":"Ann"}`},
		{`erased`, members{"name": []byte(`"Ann"`)}, `{"name":"Ann"}`},
		{`{"name":"Ann","frontier":{"email":"a@b"}}`, members{"name": []byte(`"Bob"`)}, `{"frontier":{"email":"a@b"},"name":"Bob"}`},
		{`{"name":"Ann","frontier":{"email":"a@b"}}`, members{"frontier": nil, "none": nil}, `{"name":"Ann"}`},
		{`{"other":{"n":12345678901234567890.10},"name":"<&>"}`, members{"metadata": []byte(`{"a":1}`)},
			`{"metadata":{"a":1},"name":"<&>","other":{"n":12345678901234567890.10}}`},
	} {
		if got := string(SetMembers([]byte(c.text), c.set)); got != c.want {
			t.Errorf("SetMembers(%s, %s) = %s, want %s", c.text, c.set, got, c.want)
		}
	}
}
