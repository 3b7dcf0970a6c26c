// Package mturk speaks the Amazon Mechanical Turk Requester API, version
// 2017-01-17, so that the AWS SDKs work with it unmodified.
package mturk
