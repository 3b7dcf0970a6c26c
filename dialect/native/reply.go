package native

import (
	"net/http"
	"strconv"
	"strings"

	"saldo/dialect"
)

// A reply is what an endpoint has to say beside the data that it has written.
type reply struct {
	status   int // 200 if 0
	replayed bool
	etag     string
	cookie   *http.Cookie
	bare     string                          // content type: the body is as written, without the envelope
	stream   func(http.ResponseWriter) error // writes it instead, bit by bit
}

// envelope is how every reply begins.
const envelope = `{"success":true,"data":`

// values of headers that are the same in every reply.
var (
	typeJSON    = []string{"application/json"}
	typeProblem = []string{"application/problem+json"}
	noStore     = []string{"no-store"}
	noSniff     = []string{"nosniff"}
	isTrue      = []string{"true"}
)

// answer writes a reply.
func (q *request) answer(w http.ResponseWriter, rep *reply) int {
	h := w.Header()
	body := q.b
	if rep.bare != "" {
		body = body[len(envelope):]
		h["Content-Type"] = []string{rep.bare}
	} else {
		q.b = append(q.b, '}')
		body = q.b
		h["Content-Type"] = typeJSON
	}
	if rep.replayed {
		h["Idempotent-Replayed"] = isTrue
	}
	if rep.etag != "" {
		h["Etag"] = []string{rep.etag}
	}
	if rep.cookie != nil {
		http.SetCookie(w, rep.cookie)
	}
	if rep.status == 0 {
		rep.status = http.StatusOK
	}
	q.send(w, rep.status, body)
	return rep.status
}

func (q *request) send(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	if q.Method != http.MethodHead {
		w.Write(body) // whoever does not listen any more cannot be told so
	}
}

// refuse writes a refusal.
func (q *request) refuse(w http.ResponseWriter, err error) int {
	e := asError(err)
	if e.cause != nil {
		q.s.o.Logger.Error("a request failed", "method", q.Method, "path", q.URL.Path, "error", e.cause)
	}
	h := w.Header()
	h["Content-Type"] = typeJSON
	problem := wants(q.Request, "application/problem+json")
	if problem {
		h["Content-Type"] = typeProblem
	}
	switch {
	case e.Status == http.StatusUnauthorized:
		h["Www-Authenticate"] = []string{`Bearer realm="saldo"`}
	case e.allow != "":
		h["Allow"] = []string{e.allow}
	case e.Code == CodeBodyTooLarge || e.Code == CodeRequestTimeout || e.Code == CodeBodyIncomplete:
		h["Connection"] = []string{"close"} // the rest of the body is not waited for
	}
	dialect.SetRetryAfter(h, e.RetryAfter)
	if e.Replayed {
		h["Idempotent-Replayed"] = isTrue
	}
	q.b = q.b[:0]
	q.error(e, problem)
	q.send(w, e.Status, q.b)
	return e.Status
}

// wants reports whether a request's Accept names a type.
func wants(r *http.Request, mediaType string) bool {
	for _, line := range r.Header["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), mediaType) {
				return true
			}
		}
	}
	return false
}

// error writes a refusal in the envelope, or as RFC 9457 has it.
func (w *writer) error(e *Error, problem bool) {
	if problem {
		w.b = append(w.b, '{')
		w.string("type", "/openapi.json#"+e.Code)
		title := e.Message
		if f := faultOf(e.Code); f != nil {
			title = f.message
		}
		w.string("title", title)
		w.uint("status", uint64(e.Status))
		w.string("detail", strings.ToValidUTF8(e.Message, "\ufffd")) // it may repeat what came in
		w.string("code", e.Code)
	} else {
		w.b = append(w.b, `{"success":false,"error":{`...)
		w.string("code", e.Code)
		w.string("message", strings.ToValidUTF8(e.Message, "\ufffd"))
	}
	if len(e.Details) > 0 {
		w.openList("details")
		for _, d := range e.Details {
			w.item()
			w.string("field", d.Field)
			w.string("reason", strings.ToValidUTF8(d.Reason, "\ufffd"))
			w.close()
		}
		w.closeList()
	}
	w.bool("retryable", e.Retryable)
	w.word("required", e.Required)
	w.word("spendable", e.Spendable)
	w.word("unit", e.Unit)
	w.word("account", e.Account)
	w.word("limit_source", e.LimitSource)
	w.close()
	if !problem {
		w.close()
	}
}
