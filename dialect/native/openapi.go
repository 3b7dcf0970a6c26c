package native

import _ "embed"

// document is the OpenAPI document of this API.
//
//go:embed openapi.json
var document []byte

// openAPI serves GET /openapi.json.
func (s *server) openAPI(q *request) (reply, error) {
	q.b = append(q.b, s.document...)
	return reply{bare: "application/json"}, nil
}

// health serves GET /healthz: the process runs.
func (s *server) health(q *request) (reply, error) {
	q.b = append(q.b, `{"status":"ok"}`...)
	return reply{bare: "application/json"}, nil
}

// ready serves GET /readyz: requests may be sent here.
func (s *server) ready(q *request) (reply, error) {
	if s.o.Ready != nil {
		if err := s.o.Ready(q.ctx); err != nil {
			return reply{}, refuse(CodeUnavailable, "%s", err)
		}
	}
	if _, err := s.ledger.Head(q.ctx, 0); err != nil {
		return reply{}, err
	}
	q.b = append(q.b, `{"status":"ready"}`...)
	return reply{bare: "application/json"}, nil
}
