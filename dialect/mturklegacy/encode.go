package mturklegacy

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strconv"

	"saldo/dialect"
)

var (
	typeQuery = []string{xmlType}
	typeSOAP  = []string{"text/xml; charset=utf-8"}
)

// begin begins the answer to a call whose operation is known, up to its first
// result.
func (s *server) begin(x *dialect.Exchange, c *call) {
	s.beginResponse(x, c)
	x.Out = append(x.Out, "</OperationRequest>"...)
}

// beginResponse begins an answer, up to the end of OperationRequest.
func (s *server) beginResponse(x *dialect.Exchange, c *call) {
	x.Status = http.StatusOK
	b := x.Out[:0]
	if c.soap {
		x.Header()["Content-Type"] = typeSOAP
		b = append(b, soapHeader...)
		b = append(b, `<soapenv:Envelope xmlns:soapenv="`+soapSpace+`"><soapenv:Body><`...)
		b = append(b, c.op.name...)
		b = append(b, `Response xmlns="`+bodySpace...)
		b = append(b, c.edition.name...)
		b = append(b, `">`...)
	} else {
		x.Header()["Content-Type"] = typeQuery
		b = append(b, queryHeader+"<"...)
		b = append(b, c.op.name...)
		b = append(b, "Response>"...)
	}
	b = append(b, "<OperationRequest><RequestId>"...)
	b = appendRequestID(b)
	x.Out = append(b, "</RequestId>"...)
}

// end ends the answer to a call.
func (s *server) end(x *dialect.Exchange, c *call) {
	b := append(x.Out, "</"...)
	b = append(b, c.op.name...)
	b = append(b, "Response>"...)
	if c.soap {
		b = append(b, "</soapenv:Body></soapenv:Envelope>"...)
	}
	x.Out = b
}

// refuse answers with a refusal, in the frame of its place. A client by SOAP
// reads Errors where the operation is known, and a Fault only where it is not or
// the server cannot answer. Who asks for many results is refused each.
func (s *server) refuse(x *dialect.Exchange, c *call, r *refusal) {
	dialect.SetRetryAfter(x.Header(), r.retryAfter)
	place := r.place
	if place == atDoor && c.soap && c.op != nil && r.status < 500 {
		place = inRequest
	}
	switch place {
	case inRequest:
		s.beginResponse(x, c)
		x.Out = s.appendErrors(x.Out, r)
		x.Out = append(x.Out, "</OperationRequest>"...)
		s.end(x, c)
	case inResult:
		s.begin(x, c)
		for range max(1, c.results) {
			x.Out = s.appendRefused(x.Out, c, r)
		}
		s.end(x, c)
	default:
		x.Status = r.status
		if c.soap && place != atDoorAlways {
			s.fault(x, r)
			return
		}
		x.Header()["Content-Type"] = typeQuery
		b := append(x.Out[:0], queryHeader+"<Response><Errors><Error><Code>"...)
		b = append(b, r.code...)
		b = append(b, "</Code><Message>"...)
		b = appendText(b, r.message)
		b = append(b, "</Message></Error></Errors><RequestID>"...)
		b = appendRequestID(b)
		x.Out = append(b, "</RequestID></Response>"...)
	}
}

// fault answers with a Fault, in AWS's form of the time.
func (s *server) fault(x *dialect.Exchange, r *refusal) {
	x.Header()["Content-Type"] = typeSOAP
	b := append(x.Out[:0], soapHeader+`<soapenv:Envelope xmlns:soapenv="`+soapSpace+`" xmlns:aws="`+faultSpace+`"><soapenv:Body><soapenv:Fault><faultcode>`...)
	switch {
	case r.code == codeEnvelope || r.code == codeHeader: // SOAP's own
		b = append(b, "soapenv:"...)
	case r.status >= 500:
		b = append(b, "aws:Server."...)
	default:
		b = append(b, "aws:Client."...)
	}
	b = append(b, r.code...)
	b = append(b, "</faultcode><faultstring>"...)
	b = appendText(b, r.message)
	b = append(b, "</faultstring><detail><aws:RequestId>"...)
	b = appendRequestID(b)
	x.Out = append(b, "</aws:RequestId></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>"...)
}

// appendRefused appends the result of a request that is refused.
func (s *server) appendRefused(b []byte, c *call, r *refusal) []byte {
	b = appendOpen(b, c.op.result)
	b = append(b, "<Request><IsValid>False</IsValid>"...)
	b = s.appendErrors(b, r)
	b = append(b, "</Request>"...)
	return appendClose(b, c.op.result)
}

// appendErrors appends the one error that there is. Its message ends with the
// time in milliseconds, unless that is to be left out.
func (s *server) appendErrors(b []byte, r *refusal) []byte {
	b = append(b, "<Errors><Error><Code>"...)
	b = append(b, r.code...)
	b = append(b, "</Code><Message>"...)
	b = appendText(b, r.message)
	if !s.plain {
		b = append(b, " ("...)
		b = strconv.AppendInt(b, s.o.Now().UnixMilli(), 10)
		b = append(b, ')')
	}
	b = append(b, "</Message>"...)
	if r.state != "" {
		b = appendOpen(b, "Data")
		b = appendElement(b, "Key", "CurrentState")
		b = appendElement(b, "Value", r.state)
		b = appendClose(b, "Data")
	}
	return append(b, "</Error></Errors>"...)
}

// appendElement appends an element with text in it.
func appendElement(b []byte, name, text string) []byte {
	b = appendOpen(b, name)
	b = appendText(b, text)
	return appendClose(b, name)
}

// appendUnlessEmpty appends an element, if there is text in it.
func appendUnlessEmpty(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	return appendElement(b, name, text)
}

// appendNumber appends an element with a whole number in it.
func appendNumber(b []byte, name string, n int64) []byte {
	b = appendOpen(b, name)
	b = strconv.AppendInt(b, n, 10)
	return appendClose(b, name)
}

func appendOpen(b []byte, name string) []byte {
	b = append(b, '<')
	b = append(b, name...)
	return append(b, '>')
}

func appendClose(b []byte, name string) []byte {
	b = append(b, "</"...)
	b = append(b, name...)
	return append(b, '>')
}

// appendRequestID appends a UUID of version 4. It names an answer and opens
// nothing, so that any chance will do.
func appendRequestID(b []byte) []byte {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], rand.Uint64())
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	for i, n := range [...]int{4, 6, 8, 10, 16} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, id[[...]int{0, 4, 6, 8, 10}[i]:n])
	}
	return b
}
