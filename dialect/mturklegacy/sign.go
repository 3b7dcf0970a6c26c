package mturklegacy

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// toSign returns what the signature of a call is over. Without a
// SignatureVersion, and by SOAP, that is Service, Operation and Timestamp as they
// were sent, one after the other: nothing else in the request is covered, no
// amount either. With SignatureVersion=1 it is every parameter but Signature.
func (c *call) toSign() string {
	if c.signatureVersion == "" {
		return serviceName + c.operation + c.timestamp
	}
	return signed1(c.parameters)
}

// signed1 returns the names and values of all parameters but Signature without
// anything between them, sorted by name without regard to case, as boto 2 does.
func signed1(parameters []parameter) string {
	sorted := slices.Clone(parameters)
	slices.SortStableFunc(sorted, func(a, b parameter) int { return compareFold(a.name, b.name) })
	var b strings.Builder
	for _, p := range sorted {
		if p.name != "Signature" {
			b.WriteString(p.name)
			b.WriteString(p.value)
		}
	}
	return b.String()
}

// compareFold compares two names as if their ASCII letters were small.
func compareFold(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if d := int(lower(a[i])) - int(lower(b[i])); d != 0 {
			return d
		}
	}
	return len(a) - len(b)
}

func lower(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

const signatureLen = (sha1.Size + 2) / 3 * 4

// sign returns the signature of a text: base64 of its HMAC-SHA1.
func sign(secret []byte, text string) (signature [signatureLen]byte) {
	mac := hmac.New(sha1.New, secret)
	mac.Write([]byte(text))
	var sum [sha1.Size]byte
	base64.StdEncoding.Encode(signature[:], mac.Sum(sum[:0]))
	return signature
}

// isSigned reports whether a signature is one of a text under one of the secrets.
func isSigned(secrets [][]byte, text, signature string) bool {
	for _, secret := range secrets {
		want := sign(secret, text)
		if subtle.ConstantTimeCompare(want[:], []byte(signature)) == 1 {
			return true
		}
	}
	return false
}

// parseTimestamp reads a dateTime: 2014-08-15T12:00:00Z, with a fraction if it
// has one, and with an offset in place of Z, which rturk sends. Without either
// it is UTC. The basic form, 20140815T120000Z, was refused.
func parseTimestamp(text string) (t time.Time, ok bool) {
	const shortest, longest = len("2006-01-02T15:04:05"), 64
	if len(text) < shortest || len(text) > longest {
		return t, false
	}
	if text[10] != 'T' || text[13] != ':' || text[16] != ':' || strings.IndexByte(text, ',') >= 0 {
		return t, false // time.Parse takes T1:00:00 and a comma
	}
	if !strings.ContainsAny(text[shortest:], "Z+-") {
		text += "Z"
	}
	t, err := time.Parse(time.RFC3339, text)
	return t, err == nil
}

// isRecent reports whether a time is no more than the window from now.
func isRecent(t, now time.Time) bool {
	return !t.Before(now.Add(-window)) && !t.After(now.Add(window))
}
