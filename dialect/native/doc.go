// Package native is Saldo's own API: JSON over HTTP under /v1, and the package
// to copy when adding a vendor.
//
// What always holds: every reply is one envelope, {"success":true,"data":{…}}
// or {"success":false,"error":{…}}, and every data has an id and a created_at;
// amounts are strings with all of their unit's decimals, times RFC 3339 in UTC;
// the codes of refusals are a closed list (see faults.go); a write that is
// repeated under its id is answered with the same bytes again, marked
// Idempotent-Replayed: true; what a body says that is not understood is refused
// by name, so that a misspelled "up_to" charges nobody.
//
// The files, as a request meets them: server.go has the list of routes and
// tree.go finds the one that is meant; request.go finds the credential and the
// tenant and reads the body, for which json.go has the decoder; the endpoints
// are in transfers.go, batch.go, holds.go, accounts.go, opening.go, settings.go,
// statement.go, lists.go, search.go, events.go and, for administration,
// admin.go, credentials.go, aliases.go and session.go. They return what they
// have to say; encode.go writes it down, reply.go sends it. faults.go is the one
// table of refusals, which client.go, the other half, reads backwards. wire.go
// has the types of the client, openapi.json says all of it to machines, and
// endpoint.go lets other packages serve calls of theirs beside these.
package native
