package mturklegacy

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"saldo/dialect"
)

// A parameter is a name and a value, decoded.
type parameter struct{ name, value string }

// readQuery fills in the call from the parameters of the URL and, of a POST, of
// the form in the body.
func (c *call) readQuery(x *dialect.Exchange) error {
	var err error
	if c.parameters, err = appendParameters(c.space[:0], x.URL.RawQuery); err != nil {
		return err
	}
	if isType(x.Request, formType) {
		if c.parameters, err = appendForm(c.parameters, string(x.Body)); err != nil {
			return err
		}
	}
	for _, p := range []struct {
		name string
		into *string
	}{
		{"Operation", &c.operation},
		{"Version", &c.version},
		{"Service", &c.service},
		{"AWSAccessKeyId", &c.keyID},
		{"Timestamp", &c.timestamp},
		{"Signature", &c.signature},
		{"SignatureVersion", &c.signatureVersion},
	} {
		if *p.into, err = c.parameter(p.name); err != nil {
			return err
		}
	}
	if c.operation == "" { // the first releases of boto 2 name it as AWS's other APIs do
		c.operation, err = c.parameter("Action")
	}
	c.results = 1
	return err
}

// parameter returns the value of a parameter, or "". Two values are one too many.
func (c *call) parameter(name string) (value string, err error) {
	found := false
	for i := range c.parameters {
		if c.parameters[i].name != name {
			continue
		}
		if found {
			return "", refuse(codeRepeated, name)
		}
		value, found = c.parameters[i].value, true
	}
	return value, nil
}

// appendForm appends the parameters of a form body. What the URL said already,
// word for word, counts once: rturk says Service in both.
func appendForm(url []parameter, text string) ([]parameter, error) {
	n := len(url)
	all, err := appendParameters(url, text)
	if err != nil {
		return nil, err
	}
	out := all[:n]
	for _, p := range all[n:] {
		if !slices.Contains(all[:n], p) {
			out = append(out, p)
		}
	}
	return out, nil
}

// appendParameters reads application/x-www-form-urlencoded text. It is strict,
// because others may read the same text and nobody should read it otherwise: no
// ";" between parameters, no % without two hexadecimal digits, UTF-8.
func appendParameters(dst []parameter, text string) ([]parameter, error) {
	if strings.IndexByte(text, ';') >= 0 {
		return nil, refuse(codeQuery, "write ; as %3B")
	}
	for text != "" {
		var pair string
		pair, text, _ = strings.Cut(text, "&")
		if pair == "" {
			continue
		}
		if len(dst) == maxParameters {
			return nil, refuse(codeQuery, "send at most 1000")
		}
		name, value, _ := strings.Cut(pair, "=")
		var p parameter
		var err error
		if p.name, err = unescaped(name); err != nil {
			return nil, refuse(codeQuery, err)
		}
		if p.value, err = unescaped(value); err != nil {
			return nil, refuse(codeQuery, err)
		}
		dst = append(dst, p)
	}
	return dst, nil
}

var (
	errEscape = errors.New("a % is followed by two hexadecimal digits")
	errUTF8   = errors.New("they have to be UTF-8")
)

// unescaped decodes a name or a value: + is a space, %2B a plus.
func unescaped(s string) (string, error) {
	if strings.IndexByte(s, '%') >= 0 || strings.IndexByte(s, '+') >= 0 {
		out := make([]byte, 0, len(s))
		for i := 0; i < len(s); i++ {
			switch {
			case s[i] == '+':
				out = append(out, ' ')
			case s[i] != '%':
				out = append(out, s[i])
			case i+2 >= len(s) || unhex(s[i+1]) > 15 || unhex(s[i+2]) > 15:
				return "", errEscape
			default:
				out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
				i += 2
			}
		}
		s = string(out)
	}
	if !utf8.ValidString(s) {
		return "", errUTF8
	}
	return s, nil
}

// unhex returns what a hexadecimal digit stands for, or more than 15.
func unhex(b byte) byte {
	switch {
	case b >= '0' && b <= '9':
		return b - '0'
	case b >= 'a' && b <= 'f':
		return b - 'a' + 10
	case b >= 'A' && b <= 'F':
		return b - 'A' + 10
	}
	return 255
}
