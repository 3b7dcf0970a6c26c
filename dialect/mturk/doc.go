// Package mturk speaks the Amazon Mechanical Turk Requester API, version
// 2017-01-17, so that the AWS SDKs work with it unmodified; and, on the same
// path, the plain JSON form of its balance operation that has no SDK.
//
// What always holds: an amount is a JSON string of dollars with exactly two
// decimals, rounded toward minus infinity, never negative; an operation is run
// only for who proved to hold the secret of an access key, over the very bytes
// of the body that is then read; a failure that may pass is a 5xx or a
// ThrottlingException, because the SDKs retry nothing else.
//
// # The contract
//
// The service closed on 2026-09-30, so its contract is what its clients were
// written against: the service model that botocore 1.29.27 and
// @aws-sdk/client-mturk 3.1015.0 carry (mturk-requester-2017-01-17), the API
// reference 2017-01-17
// (docs.aws.amazon.com/AWSMechTurk/latest/AWSMturkAPI, read until 2026-09), what
// people captured from the service in public issues, and what the clients were
// seen to send and to accept (2026-11).
//
//	request    POST /, X-Amz-Target: MTurkRequesterServiceV20170117.<Operation>,
//	           application/x-amz-json-1.1, a JSON object; {} without input
//	signed     Signature Version 4, service mturk-requester, any region: the
//	           clients also sign for one that is named "sandbox"
//	answer     200, a JSON object, x-amzn-RequestId: <UUID>
//	refusal    400 mostly, {"__type": …}; the two errors of the model,
//	           RequestError and ServiceFault, have Message and TurkErrorCode,
//	           and the rest have message: Go reads the members of the model
//	           letter for letter
//	amount     "10000.00", dollars: there is no currency in this API
//	time       seconds since 1970, a JSON number
//	clock      Go and JavaScript set theirs by the Date of any answer; the
//	           server's clock has to be right
//
// GetAccountBalance returns AvailableBalance, see [Available], and
// OnHoldBalance. The latter is "0.00", as it was from 2007 on ("not used,
// always 0"): the money held for open HITs was never in it, and shows only in
// what is available.
//
// # HITs
//
// A [Desk] keeps HITs, for this API and for the ones before: [Desk.Requester]
// gives the calls of a requester, which return values or a [*Refused] with its
// TurkErrorCode; [Desk.Accept], [Desk.Submit] and [Desk.Return] are a worker's. A
// codec reads its own form, calls, and writes.
//
// A HIT is records of its requester's book, written in the same commands as its
// money:
//
//	mturk.type        properties that HITs share; never changes
//	mturk.hit         state and counts, some 200 bytes; deadline: it expires, or
//	                  was to be reviewed for 120 days
//	mturk.content     question, layout, annotation; written once
//	mturk.assignment  a worker's work; deadline: to submit it, then to review it
//	mturk.answer      what was submitted; written once
//	mturk.bonus       a bonus
//	mturk.token       a UniqueRequestToken; deadline: it is forgotten
//	mturk.worker      which account gets what a worker earns in this book
//	mturk.requester   how many HITs there are, for lists that say so
//
// A HIT has one hold, of what is owed if all its work is approved: rewards and
// fees of assignments that are accepted, submitted or still to be had. It never
// expires by itself. Approving captures one assignment's part, for the worker
// and for @fees. Rejecting, expiring and deleting let go what cannot be owed any
// more; of a hold that is needed on in part by releasing it and placing a smaller
// one in the same command. Raising the number of assignments, or bringing an
// expired HIT back, sets more aside, and is refused where there is not enough.
//
// What has a deadline is done by the ledger's watch over records, also after a
// restart; and who looks at HITs or at a balance here first has done what is due.
//
// # The plain form
//
// An API catalogue documents the operation as a POST with content type
// application/json, no X-Amz-Target and no signature, answered in the envelope of
// the native API. [NewRequester] serves that, to who has a credential.
package mturk
