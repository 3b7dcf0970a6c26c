// Package gateway360 answers "how much is left?" as the SMS platform Gateway360
// does in version 3.0 of its API, and asks that platform the same.
//
// What always holds: an amount that is shown is never more than there is, and
// the answer to a user_name that does not exist and to one that the key does not
// open is the same.
//
// # The platform's contract, as we read it
//
// The platform answers at https://api.gateway360.com. Its manual is served by
// the panels of those who sell it, below /api/3.0/docs/: app.smsup.es (SMSup) and
// panel.smspubli.com (SMSpubli); Gigas prints it again as "API SMS Gigas". All
// read in 2026. It is not 360NRS (dashboard.360nrs.com), and not smsup.ch.
//
//	POST /api/3.0/account/get-balance      {"api_key"}
//	POST /api/3.0/subaccount/get-balance   {"api_key", "user_name"}
//
//	200 {"status":"ok","result":{"balance":"350.1200","currency":"EUR"}}
//	4xx {"status":"error","error_id":"UNAUTHORIZED","error_msg":"…"}
//
// Documented: the body is a JSON object in UTF-8 of type application/json; the
// key is in it, and no header has it; the amount is a string of four decimals;
// the currency is EUR, USD, GBP, CREDITS, SMS and so on; a key may be limited to
// addresses, and from another the answer is that of a wrong key; a status of 4xx
// says that the request has to be mended, 5xx that it need not. A sub-account
// has a key of its own, which reads its balance by the first call.
//
// Documented identifiers are JSON_PARSE_ERROR (400) and UNAUTHORIZED (401), with
// their texts; INVALID_CONTENT_TYPE and MISSING_PARAMS, of which the manual tells
// neither status nor text beyond its list; and, of the calls that send,
// NOT_ENOUGH_BALANCE. BAD_PARAMS was recorded by a public client (the SMS bundle
// of AmorebietakoUdala), as was the form of the amount: "0.6000".
//
// # What nobody documents, and what is done here
//
//   - The order of the checks: path, method, type, JSON, api_key, the key itself,
//     then other members.
//   - Other statuses and identifiers; see faults.
//   - user_name with the first call, which that same client sends: it counts if
//     it names the account of the key or one below, and is refused otherwise:
//     the balance of another account must not be taken for that one's.
//   - GET with a body, which a public client does: taken for calls that read.
//   - An amount below zero has a minus in front.
//   - Credits have four decimals as well.
//   - Members that no call knows are passed over. One of those that count is
//     refused if it is given twice: who stands between might read the other.
package gateway360
