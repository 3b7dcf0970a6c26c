// Package frontierv1beta1 has the messages of Frontier that are served here, as
// protoc-gen-go v1.36.12 makes them of the .proto files beside it: go generate
// ./dialect/frontier makes them again.
package frontierv1beta1
