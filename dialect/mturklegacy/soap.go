package mturklegacy

import (
	"strconv"
	"strings"
)

// readSOAP fills in the call from an envelope:
//
//	Envelope / Body / {Operation in …/doc/{version}} / AWSAccessKeyId, Timestamp,
//	                                                   Signature, Request+
//
// Elements that it does not know are left alone, as those of a Header are, unless
// they have to be understood.
func (c *call) readSOAP(message []byte) error {
	r := soapReader{call: c}
	if err := scan(message, r.start, r.end); err != nil {
		if own, ok := err.(*refusal); ok {
			return own
		}
		return refuse(codeXML, shortened(err.Error(), 128))
	}
	switch {
	case !r.body:
		return refuse(codeXML, "the envelope has no Body")
	case c.operation == "":
		return refuse(codeXML, "its Body is empty")
	}
	return nil
}

// A soapReader fills in a call from the elements of an envelope.
type soapReader struct {
	*call
	body bool // there is one
	seen [3]bool
}

func (r *soapReader) start(path []*element) error {
	last := path[len(path)-1]
	soap := last.Space == soapSpace
	switch len(path) {
	case 1:
		if !soap || last.Local != "Envelope" {
			return refuse(codeEnvelope)
		}
	case 2:
		switch {
		case soap && last.Local == "Body" && !r.body:
			r.body = true
		case soap && last.Local == "Header" && !r.body:
		default:
			return refuse(codeXML, "an envelope has a Header, or none, and a Body")
		}
	case 3:
		if path[1].Local == "Header" {
			return understood(last)
		}
		if r.operation != "" {
			return refuse(codeXML, "its Body has more than one element")
		}
		version, known := strings.CutPrefix(last.Space, bodySpace)
		if !known {
			return refuse(codeVersion, shortened(last.Space, 64), versionNames())
		}
		r.operation, r.version = last.Local, version
	case 4:
		if r.inOperation(path) && last.Local == "Request" {
			if r.results++; r.results > maxRequests {
				return refuse(codeParameter, strconv.Itoa(r.results), "Request", "Send at most 100.")
			}
			last.node = new(node)
			r.requests = append(r.requests, last.node)
		}
	default:
		if in := path[len(path)-2].node; in != nil && !isNil(last) {
			last.node = in.add(last.Local)
		}
	}
	return nil
}

// isNil reports whether an element says that it is not there.
func isNil(e *element) bool {
	for _, a := range e.Attr {
		if a.Name.Space == "http://www.w3.org/2001/XMLSchema-instance" && a.Name.Local == "nil" {
			return a.Value == "true" || a.Value == "1"
		}
	}
	return false
}

func (r *soapReader) end(path []*element, text string) error {
	if last := path[len(path)-1]; last.node != nil {
		last.node.value, last.node.set = text, true
		return nil
	}
	if len(path) != 4 || !r.inOperation(path) {
		return nil
	}
	for i, p := range []struct {
		name string
		into *string
	}{
		{"AWSAccessKeyId", &r.keyID},
		{"Timestamp", &r.timestamp},
		{"Signature", &r.signature},
	} {
		if path[3].Local != p.name {
			continue
		}
		if r.seen[i] {
			return refuse(codeRepeated, p.name)
		}
		r.seen[i], *p.into = true, strings.TrimSpace(text)
	}
	return nil
}

func (r *soapReader) inOperation(path []*element) bool { return path[1].Local == "Body" }

// understood refuses an entry of a header that has to be understood.
func understood(entry *element) error {
	for _, a := range entry.Attr {
		if a.Name.Space == soapSpace && a.Name.Local == "mustUnderstand" && strings.TrimSpace(a.Value) == "1" {
			return refuse(codeHeader)
		}
	}
	return nil
}
