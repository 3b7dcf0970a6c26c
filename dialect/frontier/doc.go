// Package frontier speaks as Raystack Frontier does about credits: what is left,
// what was used and given back, who may owe how much; in the two forms that its
// releases have had. It asks a Frontier what is left, too.
//
// What always holds: the amount that is shown is never more than there is; an
// amount that an int64 cannot hold is refused, never wrapped; a batch of usages
// is taken as a whole or not at all, and each usage once; no more of a usage is
// given back than was taken; no request is decoded in Connect or gRPC before its
// credential is known to be right.
//
// # Frontier's contract, as we read it
//
// Frontier is github.com/raystack/frontier, Apache-2.0; its schema is
// github.com/raystack/proton, folder raystack/frontier/v1beta1. What follows was
// seen on servers that we ran, v0.22.0 (July 2024) for REST and v0.115.2 (August
// 2026) for Connect, and read in their source, in November 2026.
//
//	REST, v0.8 to v0.90:
//	GET /v1beta1/organizations/{org_id}/billing/{id}/balance
//	200 {"balance":{"amount":"1000000000", "currency":"VC", "updated_at":null}}
//	404 {"code":5, "message":"customer doesn't exist", "details":[]}
//
//	Connect, gRPC and gRPC-Web, v0.69 to now, the only ones since v0.91:
//	POST /raystack.frontier.v1beta1.FrontierService/GetBillingBalance
//	{"id":"6fd667c8-480a-445d-beae-0734ee935d22"}
//	200 {"balance":{"amount":"1000000000","currency":"VC"}}
//	404 {"code":"not_found","message":"not found"}
//
// The amount is an int64, so a string in JSON: credits paid in minus credits
// taken. It may be below zero since v0.34. The currency is always VC, "virtual
// currency", whatever the account is billed in, and no release ever filled
// updated_at. REST writes members that are zero, Connect leaves them out: an
// account without credits has no amount there. The two have different texts for
// the same refusals, and a different order of checks:
//
//	REST     path, method, request, credential, account, organization, permission
//	Connect  path, method, credential, request, account, permission
//
// Both tell a caller whose credential is right but not for the account that the
// account exists (403, not 404). Connect takes the older request with an org_id,
// and ignores it.
//
// CreateBillingUsage takes a batch of usages, each with a UUID that is never used
// again: 409 "credits already applied" since v0.32. RevertBillingUsage gives back
// up to what is left of one, in several parts since v0.74; the first part has the
// UUID (version 5) of the usage and the account, joined by a colon, in a namespace
// of its own, and was seen at v0.22.0. ListBillingTransactions is newest first
// and has no pages. A credit_min is what has to stay, so minus a credit limit.
//
// # What the words are here
//
//	organization           tenant
//	billing account        account with money of its own; disabled: frozen, deleted: closed
//	usage                  charge to @revenue; its id is the transfer's
//	revert                 refund of that charge
//	transaction            transfer, as the account sees it
//	description, metadata  reason and metadata of the transfer's free text, where
//	                       source and user_id stand as well
//	org get                scope read
//	org delete, superuser  scope admin (for the organization as a whole, where
//	                       more than one account is concerned)
//	platform check         scope charge
//	service user           a record of the operator's book, kind frontier.user
//	                       {v, tenant, title, metadata, created, secrets: [{id, token}]}
//
// # What differs here, and why
//
//   - A batch is atomic, an id that is repeated is 409 at any release's REST too,
//     and no concurrency takes more than there is: Frontier's releases lose
//     entries, overdraw, or answer 500 to some of that.
//   - Amounts are above zero in REST as in Connect: the ledger moves nothing else.
//   - Connect checks the credential before the body is read: Frontier first
//     decodes it, so that a stranger's broken JSON is 400 there and 401 here.
//   - A path with an empty segment is 404 in REST, not a redirect.
//   - Credentials are a client id and secret by Basic, or a token of Saldo's own
//     by Bearer or as the secret. Frontier's cookies and signed tokens are not
//     taken. Too many wrong ones are 429.
//   - A sub-account that spends its parent's money has none to show: 404.
//   - An organization may have more than one active account. Where none is named,
//     the credential's own is meant, or the oldest.
//   - Who can charge one account only cannot revert, which would be money in.
//   - What needs a payment provider is answered unimplemented, and so are calls
//     that are not served, where Frontier has the call or says 404 in plain text.
//
// # Why no transcoder
//
// A method's REST and its Connect are one handler: the routes are bound to the
// messages here (see rest.go), and not by vanguard, which does that for Connect
// handlers. The texts of REST, its order of checks, members that are zero, a
// wrong method that is 501, and lists that are written as they come are its own,
// so what a transcoder would save is the reading of paths.
package frontier

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate proto --template proto/buf.gen.yaml
