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

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"saldo/auth"
	"saldo/dialect"
)

// Bounds of a request in Connect or gRPC.
const (
	maxMessage = 1 << 20  // decompressed
	maxBody    = 2 << 20  // all that is read from the connection
	minGzip    = 1 << 10  // replies below are not worth compressing
	unpackMost = 64 << 10 // beyond maxMessage, that a decompressor goes on
)

// An endpoint is one call of an API.
type endpoint struct {
	handler   http.Handler
	operation *dialect.Operation
	rest      bool
}

// serveCalls makes the endpoints.
func (s *server) serveCalls(unknown *dialect.Operation) {
	options := connect.WithHandlerOptions(
		connect.WithCodec(jsonCodec{"json"}), connect.WithCodec(jsonCodec{"json; charset=utf-8"}),
		connect.WithCompression("gzip", func() connect.Decompressor { return new(gunzip) },
			func() connect.Compressor { return gzip.NewWriter(io.Discard) }),
		connect.WithReadMaxBytes(maxMessage), connect.WithCompressMinBytes(minGzip))
	s.refuse = connect.NewErrorWriter(options)
	s.lost = &endpoint{handler: s.unimplemented(wrongMethod), operation: unknown}

	names := grpcreflect.NewStaticReflector(service, adminService, grpchealth.HealthV1ServiceName)
	health, healthHandler := grpchealth.NewHandler(checker{s}, options)
	reflectV1, reflectV1Handler := grpcreflect.NewHandlerV1(names, options)
	reflectV1Alpha, reflectV1AlphaHandler := grpcreflect.NewHandlerV1Alpha(names, options)
	s.calls = map[string]*endpoint{
		health + "Check":                        {handler: healthHandler, operation: s.operation("Health.Check")},
		health + "Watch":                        {handler: healthHandler, operation: s.operation("Health.Watch")},
		reflectV1 + "ServerReflectionInfo":      {handler: reflectV1Handler, operation: s.operation("ServerReflectionInfo")},
		reflectV1Alpha + "ServerReflectionInfo": {handler: reflectV1AlphaHandler, operation: s.operation("ServerReflectionInfo")},
	}
	s.serveMethods(options)
}

func (s *server) operation(name string) *dialect.Operation {
	return s.o.Metrics.Operation(auth.Frontier, name)
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
	case "", service, adminService, grpchealth.HealthV1ServiceName:
	default:
		return nil, connect.NewError(connect.CodeNotFound, errors.New("this service is not served"))
	}
	if !c.s.serving(ctx) {
		return &grpchealth.CheckResponse{Status: grpchealth.StatusNotServing}, nil
	}
	return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
}
