package frontier

import (
	"net/http"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	flushAt      = 32 << 10         // bytes of a list that wait to be written
	maxGathered  = 32 << 20         // bytes of a list that has to be one message in memory: gRPC's
	writeTimeout = 60 * time.Second // for each part of a list
)

// Rows are a list that is answered whole, however long it is: Frontier's lists
// have no pages. They are written as they come, but in gRPC, where a message
// begins with its length.
type rows struct {
	q       *request
	out     proto.Message // the reply
	field   protoreflect.FieldDescriptor
	b       []byte // that was not written yet
	started bool
	n       int // so far
	size    int // of those in memory, for gRPC
}

// rows returns the rows of a reply, which are its only field.
func (q *request) rows(out proto.Message) *rows {
	r := &rows{q: q, out: out, field: out.ProtoReflect().Descriptor().Fields().Get(0)}
	if q.form == formREST || q.form == formJSON {
		r.b = append(append(append(r.b, `{"`...), r.field.Name()...), `":[`...)
	}
	return r
}

// add adds a row. It fails when nobody reads any more.
func (r *rows) add(m proto.Message) (err error) {
	switch r.q.form {
	case formREST:
		if r.n > 0 {
			r.b = append(r.b, ", "...)
		}
		r.b, err = appendREST(r.b, m)
	case formJSON:
		if r.n > 0 {
			r.b = append(r.b, ',')
		}
		at := len(r.b)
		if r.b, err = (protojson.MarshalOptions{UseProtoNames: true}).MarshalAppend(r.b, m); err == nil {
			r.b, err = compacted(r.b, at)
		}
	case formBinary:
		r.b = protowire.AppendTag(r.b, r.field.Number(), protowire.BytesType)
		r.b = protowire.AppendVarint(r.b, uint64(proto.Size(m)))
		r.b, err = proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(r.b, m)
	default:
		if r.size += proto.Size(m); r.size > r.q.s.gathers {
			return tooLongList
		}
		r.out.ProtoReflect().Mutable(r.field).List().Append(protoreflect.ValueOfMessage(m.ProtoReflect()))
	}
	r.n++
	if err == nil && len(r.b) >= flushAt {
		r.start()
		err = r.flush()
	}
	return err
}

// end writes what is left.
func (r *rows) end() error {
	switch r.q.form {
	case formFramed:
		return nil
	case formREST:
		r.b = append(r.b, "]}"...)
	case formJSON:
		if r.n == 0 {
			r.b = append(r.b[:0], "{}"...)
		} else {
			r.b = append(r.b, "]}"...)
		}
	}
	c := r.q.call
	if !r.started {
		c.Header()["Content-Length"] = []string{strconv.Itoa(len(r.b))}
		r.start()
	}
	err := r.flush()
	c.whole = true
	return err
}

// start writes the head of the reply.
func (r *rows) start() {
	if r.started {
		return
	}
	r.started = true
	if r.q.rest() {
		r.q.call.headREST()
	}
	r.q.call.WriteHeader(http.StatusOK)
}

func (r *rows) flush() error {
	_ = http.NewResponseController(r.q.call.ResponseWriter).SetWriteDeadline(time.Now().Add(writeTimeout)) // some have none
	_, err := r.q.call.Write(r.b)
	r.b = r.b[:0]
	return err
}

// broken ends a list that cannot be finished. Once part of it was written only
// the connection can say so.
func (r *rows) broken(err error) error {
	if !r.started {
		return err
	}
	if r.q.ctx.Err() == nil {
		r.q.s.o.Logger.Error("a list was cut short", "operation", r.q.call.endpoint.operation.Name(), "error", err)
	}
	panic(http.ErrAbortHandler)
}
