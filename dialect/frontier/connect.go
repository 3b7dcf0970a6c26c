package frontier

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/frontier/proto/buf/validate"
	frontierv1beta1 "saldo/dialect/frontier/proto/raystack/frontier/v1beta1"
)

// Bounds of a request in Connect or gRPC.
const (
	maxMessage = 1 << 20  // decompressed
	maxBody    = 2 << 20  // all that is read from the connection
	minGzip    = 1 << 10  // replies below are not worth compressing
	unpackMost = 64 << 10 // beyond maxMessage, that a decompressor goes on
)

// An endpoint is one call of Connect and gRPC.
type endpoint struct {
	handler   http.Handler
	operation *dialect.Operation
}

// serveCalls makes the endpoints.
func (s *server) serveCalls(unknown *dialect.Operation) {
	options := connect.WithHandlerOptions(
		connect.WithCodec(jsonCodec{"json"}), connect.WithCodec(jsonCodec{"json; charset=utf-8"}),
		connect.WithCompression("gzip", func() connect.Decompressor { return new(gunzip) },
			func() connect.Compressor { return gzip.NewWriter(io.Discard) }),
		connect.WithReadMaxBytes(maxMessage), connect.WithCompressMinBytes(minGzip))
	s.refuse = connect.NewErrorWriter(options)
	s.lost = &endpoint{http.HandlerFunc(s.unimplemented), unknown}

	names := grpcreflect.NewStaticReflector(service, grpchealth.HealthV1ServiceName)
	health, healthHandler := grpchealth.NewHandler(checker{s}, options)
	reflectV1, reflectV1Handler := grpcreflect.NewHandlerV1(names, options)
	reflectV1Alpha, reflectV1AlphaHandler := grpcreflect.NewHandlerV1Alpha(names, options)
	s.calls = map[string]*endpoint{
		balanceCall:                             {unary(s, balanceCall, s.getBillingBalance, options), s.operation("GetBillingBalance")},
		health + "Check":                        {healthHandler, s.operation("Health.Check")},
		health + "Watch":                        {healthHandler, s.operation("Health.Watch")},
		reflectV1 + "ServerReflectionInfo":      {reflectV1Handler, s.operation("ServerReflectionInfo")},
		reflectV1Alpha + "ServerReflectionInfo": {reflectV1AlphaHandler, s.operation("ServerReflectionInfo")},
	}
}

func (s *server) operation(name string) *dialect.Operation {
	return s.o.Metrics.Operation(auth.Frontier, name)
}

// getBillingBalance is the call of that name.
func (s *server) getBillingBalance(ctx context.Context, c *auth.Credential, in *frontierv1beta1.GetBillingBalanceRequest) (*frontierv1beta1.GetBillingBalanceResponse, error) {
	id := in.GetId()
	account, ok := uuid(id)
	switch {
	case id == "":
		return nil, noID
	case !ok:
		return nil, notUUID
	}
	b, err := s.balance(ctx, c, account, id)
	if err != nil {
		return nil, err
	}
	if !s.mayRead(ctx, c, b.Account) {
		return nil, forbidden
	}
	n, err := credits(&b)
	if err != nil {
		return nil, err
	}
	shown := &frontierv1beta1.BillingAccount_Balance{Amount: n, Currency: currency}
	if at := s.updated(&b); !at.IsZero() {
		shown.UpdatedAt = timestamppb.New(at)
	}
	return &frontierv1beta1.GetBillingBalanceResponse{Balance: shown}, nil
}

// unary makes the handler of a call that needs a credential: it is checked
// before the body is read.
func unary[In, Out any](s *server, procedure string, answer func(context.Context, *auth.Credential, *In) (*Out, error), o connect.HandlerOption) http.Handler {
	gate := func(ctx context.Context, _ connect.Spec, _ connect.Peer, h http.Header) (context.Context, error) {
		c := callOf(ctx)
		var err error
		if c.credential, err = s.authenticate(ctx, h, c.from); err != nil {
			return nil, s.refusal(ctx, c, err)
		}
		return ctx, nil
	}
	return connect.NewUnaryHandler(procedure, func(ctx context.Context, r *connect.Request[In]) (*connect.Response[Out], error) {
		c := callOf(ctx)
		out, err := answer(ctx, c.credential, r.Msg)
		if err != nil {
			return nil, s.refusal(ctx, c, err)
		}
		return connect.NewResponse(out), nil
	}, o, connect.WithRequestGate(gate))
}

// refusal returns the error that a call ends with.
func (s *server) refusal(ctx context.Context, c *call, err error) error {
	f, wait := s.fault(ctx, c.endpoint.operation, err)
	c.refused = faults[f].code
	if f == notUUID || f == noID {
		return invalid(f)
	}
	e := connect.NewError(faults[f].code, errors.New(faults[f].rpc))
	if wait > 0 {
		e.Meta().Set("Retry-After", seconds(wait))
	}
	return e
}

// invalid returns the refusal of a request's id, with the detail by which
// programs find the field.
func invalid(f fault) error {
	rule := "string.uuid"
	if f == noID {
		rule = "string.uuid_empty"
	}
	message := faults[f].rpc
	e := connect.NewError(faults[f].code, fmt.Errorf("validation error:\n - id: %s [%s]", message, rule))
	path := func(elements ...*validate.FieldPathElement) *validate.FieldPath {
		return &validate.FieldPath{Elements: elements}
	}
	element := func(number int32, name string, t descriptorpb.FieldDescriptorProto_Type) *validate.FieldPathElement {
		return &validate.FieldPathElement{FieldNumber: &number, FieldName: &name, FieldType: &t}
	}
	detail, err := connect.NewErrorDetail(&validate.Violations{Violations: []*validate.Violation{{
		Field: path(element(1, "id", descriptorpb.FieldDescriptorProto_TYPE_STRING)),
		// buf.validate.FieldRules.string, StringRules.uuid
		Rule: path(element(14, "string", descriptorpb.FieldDescriptorProto_TYPE_MESSAGE),
			element(22, "uuid", descriptorpb.FieldDescriptorProto_TYPE_BOOL)),
		RuleId:  &rule,
		Message: &message,
	}}})
	if err == nil { // what is made of constants can be encoded
		e.AddDetail(detail)
	}
	return e
}

// A call is one request in Connect or gRPC, and what is written to it.
type call struct {
	http.ResponseWriter
	endpoint   *endpoint
	request    *http.Request
	o          *Options
	body       body
	credential *auth.Credential
	status     int          // that was written, if any
	refused    connect.Code // by this package
}

type callKey struct{}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

func (c *call) from() netip.Addr { return c.o.ClientAddr(c.request) }

// WriteHeader notes the status.
func (c *call) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *call) Write(b []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	return c.ResponseWriter.Write(b)
}

// Flush sends what was written; gRPC needs it.
func (c *call) Flush() {
	if f, ok := c.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap is for http.ResponseController.
func (c *call) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// counted is the status that a call is counted as: of a refusal, that which it
// has in Connect, since gRPC says 200 to everything.
func (c *call) counted() int {
	switch {
	case c.refused != 0:
		return codes[c.refused].status
	case c.status == 0: // net/http says so where nobody does
		return http.StatusOK
	}
	return c.status
}

// serveCall answers a request in Connect, gRPC or gRPC-Web.
func (s *server) serveCall(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	e := s.calls[r.URL.Path]
	if e == nil {
		e = s.lost
	}
	c := &call{ResponseWriter: w, endpoint: e, request: r, o: &s.o}
	defer func() { e.operation.Observe(c.counted(), time.Since(start)) }()
	defer func() {
		if p := recover(); p != nil {
			s.failed(c, p)
		}
	}()
	in := r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	c.body = body{r.Body, maxBody}
	in.Body = &c.body
	e.handler.ServeHTTP(c, in)
}

// failed answers a request that a handler panicked on, if it can.
func (s *server) failed(c *call, p any) {
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.o.Logger.Error("a request failed", "operation", c.endpoint.operation.Name(), "panic", p, "stack", string(debug.Stack()))
	c.refused = connect.CodeInternal
	if c.status != 0 {
		panic(http.ErrAbortHandler) // so that the client sees that it is not whole
	}
	clear(c.Header())
	_ = s.refuse.Write(c, c.request, connect.NewError(connect.CodeInternal, errors.New(faults[internal].rpc)))
}

// unimplemented answers a call that is not served.
func (s *server) unimplemented(w http.ResponseWriter, r *http.Request) {
	callOf(r.Context()).refused = connect.CodeUnimplemented
	_ = s.refuse.Write(w, r, connect.NewError(connect.CodeUnimplemented, errors.New(faults[wrongMethod].rpc)))
}

// A body is a request's, up to a bound. Reading on, and a connection that
// breaks, are the client's errors.
type body struct {
	io.ReadCloser
	left int
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("a request is limited to %d bytes", maxBody))
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	if err != nil && err != io.EOF {
		err = connect.NewError(connect.CodeInvalidArgument, errors.New("the body ended before it was complete"))
	}
	return n, err
}

// A gunzip decompresses up to a bound. Connect's own goes on to the end of a
// message that is too long, to say how long it was, however long that takes.
type gunzip struct {
	gzip.Reader
	left int
}

func (g *gunzip) Reset(r io.Reader) error {
	g.left = maxMessage + unpackMost
	return g.Reader.Reset(r)
}

func (g *gunzip) Read(p []byte) (int, error) {
	if g.left <= 0 {
		return 0, errors.New("it goes on and on")
	}
	n, err := g.Reader.Read(p[:min(len(p), g.left)])
	g.left -= n
	return n, err
}

// A jsonCodec is protobuf's JSON with the names of the schema, as Frontier has
// it: members that are zero are left out, those unknown are passed over. What it
// says of a body that it cannot read is Frontier's.
type jsonCodec struct{ name string }

func (c jsonCodec) Name() string { return c.name }

func (c jsonCodec) Marshal(v any) ([]byte, error) { return c.MarshalAppend(nil, v) }

// MarshalAppend is Marshal into memory that Connect uses again.
func (jsonCodec) MarshalAppend(dst []byte, v any) ([]byte, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, errNotProto
	}
	b, err := protojson.MarshalOptions{UseProtoNames: true}.MarshalAppend(dst, m)
	if err != nil {
		return nil, err
	}
	return compacted(b, len(dst))
}

// compacted removes the spaces from the JSON that begins at from: protojson adds
// some in some builds and none in others.
func compacted(b []byte, from int) ([]byte, error) {
	if bytes.IndexByte(b[from:], ' ') < 0 {
		return b, nil
	}
	out := bytes.NewBuffer(b[:from])
	err := json.Compact(out, b[from:])
	return out.Bytes(), err
}

func (jsonCodec) Unmarshal(b []byte, v any) error {
	if len(b) == 0 {
		return errors.New("zero-length payload is not a valid JSON object")
	}
	m, ok := v.(proto.Message)
	if !ok || (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, m) != nil {
		return errNotProto
	}
	return nil
}

var errNotProto = errors.New("error not proto")

// A checker answers grpc.health.v1.
type checker struct{ s *server }

// Check says whether requests are welcome.
func (c checker) Check(ctx context.Context, r *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	switch r.Service {
	case "", service, grpchealth.HealthV1ServiceName:
	default:
		return nil, connect.NewError(connect.CodeNotFound, errors.New("this service is not served"))
	}
	if !c.s.serving(ctx) {
		return &grpchealth.CheckResponse{Status: grpchealth.StatusNotServing}, nil
	}
	return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
}
