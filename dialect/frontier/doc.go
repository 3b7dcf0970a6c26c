// Package frontier answers "how much is left?" as Raystack Frontier does, in the
// two forms that its releases have had, and asks a Frontier the same.
//
// What always holds: the amount that is shown is never more than there is; an
// amount that an int64 cannot hold is refused, never wrapped; no request is
// decoded in Connect or gRPC before its credential is known to be right.
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
//	REST     path, method, id, credential, account, organization, permission
//	Connect  path, method, credential, body, id, account, permission
//
// Both tell a caller whose credential is right but not for the account that the
// account exists (403, not 404). Connect takes the older request with an org_id,
// and ignores it.
//
// # What differs here, and why
//
//   - Connect checks the credential before the body is read: Frontier first
//     decodes it, so that a stranger's broken JSON is 400 there and 401 here.
//   - A path with an empty segment is 404 in REST, not a redirect.
//   - Credentials are a client id and secret by Basic, or a token of Saldo's own
//     by Bearer or as the secret. Frontier's cookies and signed tokens are not
//     taken. Too many wrong ones are 429.
//   - A sub-account that spends its parent's money has none to show: 404.
//   - Calls of the services that are not served are answered unimplemented, where
//     Frontier has the call, or says 404 in plain text.
//
// # Why no transcoder
//
// The REST form is written out here, not derived from the schema (vanguard does
// that for Connect handlers): its texts, its order of checks, and a wrong method
// that is 501 are its own, and it has one route. A further REST call is a
// further case of [server.route].
package frontier

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate proto --template proto/buf.gen.yaml
