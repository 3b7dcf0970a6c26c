// Package gateway360 answers "how much is left?" as the SMS platform Gateway360
// does in version 3.0 of its API, and asks that platform the same. Beside the
// balance stands what moves it: sub-accounts, prices, and messages, which go on to
// a [Sink].
//
// What always holds: an amount that is shown is never more than there is; the
// answer to a user_name that does not exist and to one that the key does not open
// is the same; no message goes on that is not paid for, and none is paid for that
// was not taken.
//
// # The platform's contract, as we read it
//
// The platform answers at https://api.gateway360.com. Its manual is served by
// the panels of those who sell it, below /api/3.0/docs/: app.smsup.es (SMSup) and
// panel.smspubli.com (SMSpubli); Gigas prints it again as "API SMS Gigas". All
// read in 2026. It is not 360NRS (dashboard.360nrs.com), and not smsup.ch.
//
//	POST /api/3.0/account/get-balance         {"api_key"}
//	POST /api/3.0/account/pricing/sms/…       get-country-pricing {"country_code"}, get-prefix-pricing {"prefix"}
//	POST /api/3.0/subaccount/get-balance      {"api_key", "user_name"}; get-info, delete too
//	POST /api/3.0/subaccount/add-balance      {"user_name", "amount"}; deduct-balance too
//	POST /api/3.0/subaccount/create           {"user_name", "email", "name", "surname", "password", "language"}
//	POST /api/3.0/sms/send                    {"messages": [{"from", "to", "text", "custom", "send_at"}], "fake", …}
//
//	200 {"status":"ok","result":{"balance":"350.1200","currency":"EUR"}}
//	200 {"status":"ok","result":[{"status":"ok","sms_id":"…","custom":"…"},{"status":"error","error_id":"…",…}]}
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
// neither status nor text beyond its list; and, of single messages inside of a
// 200, NOT_ENOUGH_BALANCE with its text, INVALID_SENDER, INVALID_DESTINATION and
// INVALID_DATETIME. Also documented are the bounds of a message: a sender of 15
// digits or 11 letters and digits, a number without a plus, 459 characters of text
// in GSM7, 32 of custom. BAD_PARAMS was recorded by a public client (the SMS bundle
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
//   - The calls of sub-accounts refuse with BAD_PARAMS and NOT_ENOUGH_BALANCE; what
//     prices, create and delete answer has names of the same style.
//   - A request has up to 1000 messages, as a public client bounds it.
//   - A message costs its price for each part of its text.
//   - A repeat is another request, unless it has the header Idempotency-Key.
//   - An amount below zero has a minus in front.
//   - Credits have four decimals as well.
//   - Members that no call knows are passed over. One of those that count is
//     refused if it is given twice: who stands between might read the other.
package gateway360
