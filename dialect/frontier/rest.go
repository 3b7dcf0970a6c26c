package frontier

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"saldo/ledger"
)

// A route is a path of REST with one method.
type route struct {
	method   string
	segments []string // {name} stands for one that is a field of the request
	body     string   // "*": the body is the request; a name: a field of it; "": there is none
	endpoint *endpoint
}

// params are the segments of a path that are fields of the request.
type params [][2]string

// addRoute adds a path, in the form "METHOD /path/{field} body".
func (s *server) addRoute(line, operation string, answer func(c *call, ctx context.Context, body string) error) {
	parts := append(strings.Split(line, " "), "")
	r := route{method: parts[0], segments: strings.Split(parts[1], "/"), body: parts[2]}
	r.endpoint = &endpoint{operation: s.operation(operation), rest: true, handler: http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
		c := callOf(in.Context())
		if err := answer(c, ledger.Begin(in.Context()), r.body); err != nil {
			c.refuseREST(s.refusal(in.Context(), c.endpoint.operation, err))
		}
	})}
	s.routes[len(r.segments)] = append(s.routes[len(r.segments)], r)
}

// sortRoutes puts those first that say more about their path.
func (s *server) sortRoutes() {
	for _, routes := range s.routes {
		slices.SortStableFunc(routes, func(a, b route) int { return cmp.Compare(a.wild(), b.wild()) })
	}
}

func (r *route) wild() (n int) {
	for _, segment := range r.segments {
		if strings.HasPrefix(segment, "{") {
			n++
		}
	}
	return n
}

// match returns the parameters of a path, of as many segments as the route's, if
// it is the route's.
func (r *route) match(path []string) (p params, ok bool) {
	for i, segment := range r.segments {
		name, wild := strings.CutPrefix(segment, "{")
		switch {
		case !wild && segment != path[i], wild && path[i] == "":
			return nil, false
		case wild:
			p = append(p, [2]string{strings.TrimSuffix(name, "}"), path[i]})
		}
	}
	return p, true
}

// find returns the endpoint of a request in REST. One whose path is known with
// other methods only is answered by s.wrong; nil: the path is nobody's.
func (s *server) find(r *http.Request) (*endpoint, params) {
	path := strings.Split(r.URL.EscapedPath(), "/")
	for i, segment := range path {
		if plain, err := url.PathUnescape(segment); err == nil {
			path[i] = plain
		}
	}
	var known *endpoint // by another method
	var with params
	routes := s.routes[len(path)]
	for i := range routes {
		p, ok := routes[i].match(path)
		switch {
		case !ok:
		case routes[i].method == r.Method:
			return routes[i].endpoint, p
		case routes[i].method == http.MethodGet && gets(r) && (known == nil || known == s.wrong):
			known, with = routes[i].endpoint, p // unless there is a POST of that path
		case known == nil:
			known = s.wrong
		}
	}
	return known, with
}

// answerREST answers a method in REST. The order is Frontier's: the request,
// then the credential.
func answerREST[In, Out any, PIn protoMessage[In], POut protoMessage[Out]](s *server, c *call, ctx context.Context, body string, m *method[In, Out]) error {
	in := new(In)
	if err := c.bind(PIn(in), body); err != nil {
		return err
	}
	if m.check != nil {
		if err := m.check(in); err != nil {
			return err
		}
	}
	var err error
	if c.credential, err = s.authenticate(ctx, c.request.Header, c.from, c.began); err != nil {
		return err
	}
	out, err := m.answer(&request{s, ctx, c, c.credential, formREST}, in)
	if err != nil || c.whole {
		return err
	}
	b, err := appendREST(nil, POut(out))
	if err != nil {
		return err
	}
	c.headREST()
	c.Header()["Content-Length"] = []string{strconv.Itoa(len(b))}
	_, _ = c.Write(b) // who went away does not read why
	return nil
}

func (c *call) headREST() {
	h := c.Header()
	h["Content-Type"] = headerJSON
	h["Grpc-Metadata-Content-Type"] = headerGRPC
}

// refuseREST answers a refusal in REST.
func (c *call) refuseREST(r *refusal) {
	c.refused = faults[r.fault].code
	b := appendRefusal(nil, r)
	h := c.Header()
	refusedHeader(h, r)
	h["Content-Length"] = []string{strconv.Itoa(len(b))}
	c.WriteHeader(codes[c.refused].status)
	_, _ = c.Write(b)
}

// bind reads a request: the body, the query where the body is not all of it,
// and the path, which has the last word.
func (c *call) bind(in proto.Message, body string) error {
	m := in.ProtoReflect()
	if body == "" {
		if err := c.bindQuery(m); err != nil {
			return err
		}
	} else {
		if body != "*" {
			m = m.Mutable(m.Descriptor().Fields().ByName(protoreflect.Name(body))).Message()
		}
		if err := c.bindBody(m.Interface()); err != nil {
			return err
		}
	}
	fields := in.ProtoReflect().Descriptor().Fields()
	for _, p := range c.params {
		in.ProtoReflect().Set(fields.ByName(protoreflect.Name(p[0])), protoreflect.ValueOfString(p[1]))
	}
	return nil
}

// bindBody reads JSON. An empty body is an empty message. What is wrong is said
// in the words of the two decoders that Frontier's gateway has.
func (c *call) bindBody(in proto.Message) error {
	b, err := io.ReadAll(io.LimitReader(&c.body, maxMessage+1))
	switch {
	case len(b) > maxMessage:
		c.Header().Set("Connection", "close")
		return tooLong
	case err != nil:
		return malformed("unexpected EOF")
	}
	var raw json.RawMessage
	switch err := json.NewDecoder(bytes.NewReader(b)).Decode(&raw); {
	case err == io.EOF:
		return nil
	case err != nil:
		return malformed(err.Error())
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, in); err != nil {
		text := strings.ReplaceAll(err.Error(), "\u00a0", " ") // which of the two it writes differs from build to build
		return malformed(wrongValue.ReplaceAllString(text, "invalid value for $1 type:"))
	}
	return nil
}

// wrongValue is what protojson says today; it named no field in the releases that
// had REST.
var wrongValue = regexp.MustCompile(`invalid value for (\w+) field \w+:`)

func malformed(text string) error { return &refusal{fault: badRequest, rest: text, rpc: text} }

// bindQuery reads a query, or the form that stands for one.
func (c *call) bindQuery(m protoreflect.Message) error {
	query := c.request.URL.Query()
	if c.request.Method == http.MethodPost {
		b, err := io.ReadAll(io.LimitReader(&c.body, maxMessage))
		form, err2 := url.ParseQuery(string(b))
		if err := errors.Join(err, err2); err != nil {
			return malformed("the form cannot be read")
		}
		for name, values := range form {
			query[name] = append(values, query[name]...)
		}
	}
	fields := m.Descriptor().Fields()
	for name, values := range query {
		f := fields.ByName(protoreflect.Name(name))
		if f == nil {
			f = fields.ByJSONName(name)
		}
		if f == nil {
			continue
		}
		if err := setField(m, f, values); err != nil {
			return malformed(fmt.Sprintf("parsing field %q: %v", name, err))
		}
	}
	return nil
}

// setField sets a field to what a query has for it, which is read as the JSON
// that it would be.
func setField(m protoreflect.Message, f protoreflect.FieldDescriptor, values []string) error {
	if !f.IsList() && len(values) > 1 {
		return errors.New("too many values")
	}
	text := []byte(`{"` + string(f.Name()) + `":`)
	for i, value := range values {
		quoted := appendQuoted(nil, value)
		if f.Kind() == protoreflect.BoolKind {
			b, err := strconv.ParseBool(value)
			if err != nil {
				return err
			}
			quoted = strconv.AppendBool(nil, b)
		}
		switch {
		case f.IsList() && i == 0:
			text = append(text, '[')
		case f.IsList():
			text = append(text, ',')
		}
		text = append(text, quoted...)
	}
	if f.IsList() {
		text = append(text, ']')
	}
	one := m.New().Interface()
	if err := protojson.Unmarshal(append(text, '}'), one); err != nil {
		return fmt.Errorf("it has no such value")
	}
	proto.Merge(m.Interface(), one)
	return nil
}

var restJSON = protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}

// appendREST appends a message as REST has it: every member is there, and a
// space after each comma, as the servers that were recorded wrote it.
func appendREST(dst []byte, m proto.Message) ([]byte, error) {
	b, err := restJSON.Marshal(m)
	if err != nil {
		return dst, err
	}
	inText := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inText && c == '\\':
			dst = append(dst, c)
			i++
			dst = append(dst, b[i])
			continue
		case c == '"':
			inText = !inText
		case inText:
		case c == ' ':
			continue
		case c == ',':
			dst = append(dst, ',')
			dst = append(dst, ' ')
			continue
		}
		dst = append(dst, b[i])
	}
	return dst, nil
}
