package mturklegacy

import (
	"strings"
	"testing"
	"time"
)

// Vectors that were computed apart from this code.
func TestSignatures(t *testing.T) {
	for operation, want := range map[string]string{
		"GetAccountBalance": "seBLNgDmbckU/oTYlXRP2l8y8zQ=",
		"CreateHIT":         "IslIu+OCWjAMeJc4XFWzX16lyYU=",
		"GrantBonus":        "FdmB+OAJpja++IALBYEgfuTyueU=",
	} {
		c := call{operation: operation, timestamp: exampleTime}
		if got := sign([]byte(exampleSecret), c.toSign()); string(got[:]) != want {
			t.Errorf("%s: %s, want %s", operation, got, want)
		}
	}
	parameters, err := appendParameters(nil, "Version=2014-08-15&Signature=x&Timestamp=2014-08-15T12%3A00%3A00Z&SignatureVersion=1&Operation=GetAccountBalance&AWSAccessKeyId=AKIDEXAMPLE")
	if err != nil {
		t.Fatal(err)
	}
	c := call{signatureVersion: "1", parameters: parameters}
	if want := "AWSAccessKeyIdAKIDEXAMPLEOperationGetAccountBalanceSignatureVersion1Timestamp2014-08-15T12:00:00ZVersion2014-08-15"; c.toSign() != want {
		t.Errorf("what is signed is %q, want %q", c.toSign(), want)
	}
	const want = "SZ4Bntq1p1VP9n4eoKFwaK6Zj/Y="
	if got := sign([]byte(exampleSecret), c.toSign()); string(got[:]) != want {
		t.Errorf("SignatureVersion 1: %s, want %s", got, want)
	}
	text := c.toSign()
	other := []byte("another secret")
	for _, tt := range []struct {
		secrets   [][]byte
		signature string
		want      bool
	}{
		{[][]byte{[]byte(exampleSecret)}, want, true},
		{[][]byte{other, []byte(exampleSecret)}, want, true},
		{[][]byte{other}, want, false},
		{nil, want, false},
		{[][]byte{[]byte(exampleSecret)}, "", false},
		{[][]byte{[]byte(exampleSecret)}, want[:len(want)-1], false},
		{[][]byte{[]byte(exampleSecret)}, want + " ", false},
		{[][]byte{[]byte(exampleSecret)}, strings.ToLower(want), false},
	} {
		if got := isSigned(tt.secrets, text, tt.signature); got != tt.want {
			t.Errorf("%q under %q: %t", tt.signature, tt.secrets, got)
		}
	}
}

// The order is without regard to case, as in Python's sorted(key=str.lower).
func TestSigned1(t *testing.T) {
	got := signed1([]parameter{{"b", "1"}, {"A.10", "2"}, {"a.2", "3"}, {"AWS", "4"}, {"Signature", "no"}, {"signaturE", "5"}, {"B", "6"}, {"a", "7"}, {"_", "8"}})
	if want := "_8a7A.102a.23AWS4b1B6signaturE5"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestParseTimestamp(t *testing.T) {
	noon := time.Date(2014, 8, 15, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2014-08-15T12:00:00Z":           noon,
		"2014-08-15T12:00:00":            noon,
		"2014-08-15T12:00:00.5Z":         noon.Add(500 * time.Millisecond),
		"2014-08-15T12:00:00.123456789Z": noon.Add(123456789),
		"2014-08-15T12:00:00.5":          noon.Add(500 * time.Millisecond),
		"2014-08-15T14:00:00+02:00":      noon,
		"2014-08-15T05:30:00.000-06:30":  noon,
	} {
		if got, ok := parseTimestamp(text); !ok || !got.Equal(want) {
			t.Errorf("%q is %v, %t", text, got, ok)
		}
	}
	for _, text := range []string{
		"", "2014-08-15", "20140815T120000Z", "2014-08-15 12:00:00Z", "2014-08-15T12:00:00z", "2014-08-15T12:00:00,5Z", "2014-08-15T1:00:00Z",
		"2014-02-30T12:00:00Z", "2014-08-15T24:00:00Z", "2014-08-15T12:00Z", "2014-08-15T12:00:00+0200", "2014-08-15T12:00:00 02:00", "1408104000",
		" 2014-08-15T12:00:00Z", "2014-08-15T12:00:00ZZ", "2014-08-15T12:00:00." + strings.Repeat("0", 64) + "Z", "-2014-08-15T12:00:00Z",
	} {
		if got, ok := parseTimestamp(text); ok {
			t.Errorf("%q is %v", text, got)
		}
	}
}
