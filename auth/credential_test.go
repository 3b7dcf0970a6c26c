package auth

import (
	"reflect"
	"testing"

	"saldo/ledger"
)

func TestScopes(t *testing.T) {
	s, err := ParseScopes([]string{"read", "topup"})
	if err != nil || s != Read|TopUp || s.String() != "read,topup" || s.Has(Charge) || !s.Has(Read) || !Operator.Has(Admin|Charge) {
		t.Errorf("%v, %v", s, err)
	}
	if _, err := ParseScopes([]string{"Read"}); ledger.CodeOf(err) != ledger.Invalid {
		t.Errorf("%v", err)
	}
}

// What is read from a record is what is written again.
func FuzzCredentialRecord(f *testing.F) {
	f.Add([]byte(`{"v":1,"id":"x","dialects":["native","twilio"],"tenant":1,"root":"7c9e6679-7425-40de-944b-e07fc1f90ae7",` +
		`"scopes":["read"],"allow":["192.0.2.0/24"],"created":5,"expires":9,"secrets":[{"digest":"AAAA","until":7}]}`))
	f.Add([]byte(`{"v":1,"id":"x","dialects":["native"],"everything":true,"scopes":["operator"],"created":5,"revoked":true}`))
	f.Add([]byte(`{"v":1,"id":"x","dialects":["native"],"tenant":1,"scopes":[],"allow":[""],"created":5}`))
	f.Add([]byte(`{"v":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		key := ledger.RecordKey{Kind: kindCredential, Key: "0000000007"}
		c, err := decodeCredential(&ledger.Record{RecordKey: key, Version: 3, Data: data})
		if err != nil {
			return
		}
		w := c.write()
		if w.Key != key.Key || w.Expect != 3 {
			t.Errorf("%+v", w)
		}
		again, err := decodeCredential(&ledger.Record{RecordKey: key, Version: 3, Data: w.Data})
		if err != nil || !reflect.DeepEqual(again.Scopes, c.Scopes) || string(again.write().Data) != string(w.Data) {
			t.Errorf("%+v, written and read: %+v, %v", c, again, err)
		}
	})
}

func FuzzDirectoryRecord(f *testing.F) {
	f.Add("twilio/ACx", []byte(`{"v":1,"dialect":"twilio","external":"ACx","account":"7c9e6679-7425-40de-944b-e07fc1f90ae7","tenant":1}`))
	f.Fuzz(func(t *testing.T, key string, data []byte) {
		e, err := decodeEntry(&ledger.Record{RecordKey: ledger.RecordKey{Kind: kindDirectory, Key: key}, Data: data})
		if err == nil && (directoryKey(e.Dialect, e.External) != key || e.Tenant == 0) {
			t.Errorf("%+v from %q", e, key)
		}
	})
}
