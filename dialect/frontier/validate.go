package frontier

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"saldo/dialect"
	"saldo/dialect/frontier/proto/buf/validate"
)

// A rule is what a field of a request has to keep to, in the words of both
// eras: protoc-gen-validate's in REST, protovalidate's in Connect and gRPC.
type rule struct {
	id   string
	rest string
	rpc  string
	path []*validate.FieldPathElement // to the rule in buf.validate.FieldRules
}

var (
	ruleUUID = &rule{"string.uuid", "value must be a valid UUID | caused by: invalid uuid format", "value must be a valid UUID",
		[]*validate.FieldPathElement{step(14, "string", message), step(22, "uuid", boolean)}}
	ruleUUIDEmpty = &rule{"string.uuid_empty", ruleUUID.rest, "value is empty, which is not a valid UUID", ruleUUID.path}
	ruleMinLen    = &rule{"string.min_len", "value length must be at least 3 runes", "value length must be at least 3 characters",
		[]*validate.FieldPathElement{step(14, "string", message), step(2, "min_len", descriptorpb.FieldDescriptorProto_TYPE_UINT64)}}
	ruleName = &rule{"string.pattern", `value does not match regex pattern "^[a-z0-9-]+$"`, "value does not match regex pattern `^[a-z0-9-]+$`",
		[]*validate.FieldPathElement{step(14, "string", message), step(6, "pattern", descriptorpb.FieldDescriptorProto_TYPE_STRING)}}
	ruleAbove0 = &rule{"int64.gt", "value must be greater than 0", "value must be greater than 0",
		[]*validate.FieldPathElement{step(4, "int64", message), step(4, "gt", descriptorpb.FieldDescriptorProto_TYPE_INT64)}}
	// ruleNotBelow is what REST says of an amount below zero, and Connect of any.
	ruleNotBelow = &rule{ruleAbove0.id, "value must be greater than or equal to 0", ruleAbove0.rpc, ruleAbove0.path}
	ruleFrom1    = &rule{"int32.gte", "value must be greater than or equal to 1", "value must be greater than or equal to 1",
		[]*validate.FieldPathElement{step(3, "int32", message), step(5, "gte", descriptorpb.FieldDescriptorProto_TYPE_INT32)}}
	ruleRequired = &rule{"required", "value is required", "value is required", []*validate.FieldPathElement{step(25, "required", boolean)}}
)

const (
	message = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	boolean = descriptorpb.FieldDescriptorProto_TYPE_BOOL
)

func step(number int32, name string, t descriptorpb.FieldDescriptorProto_Type) *validate.FieldPathElement {
	return &validate.FieldPathElement{FieldNumber: &number, FieldName: &name, FieldType: &t}
}

// A violation is a field of a request that does not keep to a rule.
type violation struct {
	rule *rule
	path []*validate.FieldPathElement
}

// violated returns the refusal of a request for one of its fields, which path
// leads to: names of fields, and numbers in lists of them.
func violated(in proto.Message, r *rule, path ...any) *refusal {
	v := &violation{rule: r}
	of := in.ProtoReflect().Descriptor()
	var rest, rpc strings.Builder
	for i := 0; i < len(path); i++ {
		f := of.Fields().ByName(protoreflect.Name(path[i].(string)))
		e := step(int32(f.Number()), string(f.Name()), descriptorpb.FieldDescriptorProto_Type(f.Kind()))
		in := ""
		if f.IsList() {
			i++
			n := uint64(path[i].(int))
			e.Subscript = &validate.FieldPathElement_Index{Index: n}
			in = "[" + strconv.FormatUint(n, 10) + "]"
		}
		v.path = append(v.path, e)
		if rpc.Len() > 0 {
			rest.WriteString("embedded message failed validation | caused by: ")
			rpc.WriteByte('.')
		}
		fmt.Fprintf(&rest, "invalid %s.%s%s: ", of.Name(), goName(string(f.Name())), in)
		fmt.Fprintf(&rpc, "%s%s", f.Name(), in)
		of = f.Message()
	}
	return &refusal{fault: notUUID, rest: rest.String() + r.rest,
		rpc: fmt.Sprintf("validation error:\n - %s: %s [%s]", rpc.String(), r.rpc, r.id), field: v}
}

// goName returns a field's name as protoc-gen-go has it.
func goName(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// detail is what lets programs find the field.
func (v *violation) detail() (*connect.ErrorDetail, error) {
	return connect.NewErrorDetail(&validate.Violations{Violations: []*validate.Violation{{
		Field:   &validate.FieldPath{Elements: v.path},
		Rule:    &validate.FieldPath{Elements: v.rule.path},
		RuleId:  &v.rule.id,
		Message: &v.rule.rpc,
	}}})
}

// rpcError returns a refusal as Connect and gRPC answer it.
func rpcError(r *refusal) *connect.Error {
	e := connect.NewError(faults[r.fault].code, errors.New(r.rpc))
	dialect.SetRetryAfter(e.Meta(), r.wait)
	if r.field != nil {
		if d, err := r.field.detail(); err == nil { // what is made of constants can be encoded
			e.AddDetail(d)
		}
	}
	return e
}

// needUUID refuses a value that is no UUID.
func needUUID(in proto.Message, value string, path ...any) error {
	switch _, ok := parseUUID(value); {
	case ok:
		return nil
	case value == "":
		return violated(in, ruleUUIDEmpty, path...)
	}
	return violated(in, ruleUUID, path...)
}

// mayUUID is needUUID of a value that may be left out.
func mayUUID(in proto.Message, value string, path ...any) error {
	if value == "" {
		return nil
	}
	return needUUID(in, value, path...)
}

// needOrg refuses what is too short for an organization's id or name.
func needOrg(in proto.Message, value string, path ...any) error {
	if utf8.RuneCountInString(value) < 3 {
		return violated(in, ruleMinLen, path...)
	}
	return nil
}

// needAmount refuses what is not above zero.
func needAmount(in proto.Message, value int64, path ...any) error {
	switch {
	case value < 0:
		return violated(in, ruleNotBelow, path...)
	case value == 0:
		return violated(in, ruleAbove0, path...)
	}
	return nil
}

// appendQuoted appends a text as JSON, without the escapes that are for HTML.
func appendQuoted(dst []byte, text string) []byte {
	plain := true
	for i := 0; i < len(text) && plain; i++ {
		plain = text[i] >= ' ' && text[i] < 0x7f && text[i] != '"' && text[i] != '\\'
	}
	if plain {
		return append(append(append(dst, '"'), text...), '"')
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string can be encoded
	return append(dst, strings.TrimSuffix(b.String(), "\n")...)
}
