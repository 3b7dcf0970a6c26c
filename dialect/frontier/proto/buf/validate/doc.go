// Package validate has the messages by which protovalidate says what is wrong
// with a request, as protoc-gen-go v1.36.12 makes them of the .proto file beside
// it: go generate ./dialect/frontier makes them again.
//
// A program that links this cannot link the schema of protovalidate itself as
// well: both register buf.validate.Violations.
package validate
