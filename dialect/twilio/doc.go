// Package twilio answers how much is left as Twilio's REST API 2010-04-01 does,
// so that the vendor's own SDKs can ask, and asks it where that is the vendor.
// Accounts, API keys, usage records and usage triggers are answered too.
//
// What always holds: an answer is JSON, XML or CSV, as the extension of the path
// says, whatever the request accepts; a balance is a string; errors have code,
// message, more_info and status, and never type and title together, which SDKs
// would take for another envelope; nothing redirects, because SDKs take 3xx for
// success; CORS headers are on everything.
//
// # The contract, as read in November 2026
//
// Sources: the vendor's OpenAPI document (twilio/twilio-oai, twilio_api_v2010.json
// of 2026-04-14), its pages on errors and authentication, the source of its SDKs
// (twilio-go 1.31.0, twilio-node 6.2.0, twilio-python 7.7.1 and 9.11.0, twilio-java
// 12.0.0), and recorded replies in public repositories. What none of them tells is
// marked "ours" below.
//
//	GET /2010-04-01/Accounts/{AccountSid}/Balance.json
//	200 {"account_sid": "AC…", "balance": "0.05", "currency": "USD"}
//
// AccountSid is AC and 32 hexadecimal digits. The extension is .json, .xml or
// .csv; none is XML. The balance is a decimal in a string, seen with 2 and with 5
// decimals; that it has 2 to 5, and a minus below zero, is ours, and so is the
// form of XML and CSV: the members of the JSON in upper camel case.
//
// One balance is kept for a main account and all its sub-accounts. A sub-account
// has none to show: 404 with code 20404.
//
// A request is authenticated by Basic. The user is a main account's SID with its
// auth token, for it and its sub-accounts; a sub-account's SID with its own, for
// it alone; or an API key (SK…) with its secret, for its account alone, not for
// sub-accounts. User and account in the path are two things. What is checked in
// which order is ours: path, method, credential, whether it opens the account,
// whether the caller's account is suspended, its permission, whether the account
// exists and has a balance.
//
// Errors are the table in wire.go. Those that the vendor's core makes have spaces
// after colons and commas, those of its edge have none; two recordings of a wrong
// token, of 171 bytes in JSON and 293 in XML, are matched byte for byte. What
// is not to be seen in recordings is not sent: no X-RateLimit.
//
// OPTIONS is answered for any path, without a credential: 200, no body (ours).
//
// Lists have a page of 50 records unless PageSize says 1 to 1,000, in an envelope
// with exactly one key of its own, which SDKs take for the records. Dates of
// resources are of RFC 2822, days of usage are GMT. Numbers of usage and prices
// are strings. A sub-account draws on the main account; suspending that suspends
// it (21476, 21479, 21480 are the refusals). A usage trigger is evaluated about
// once a minute by the vendor and fires at most once a period; its callback is
// signed with HMAC-SHA1 under the auth token and has an IdempotencyToken.
//
// Ours: the parameter Cap and the field cap of sub-accounts; the category balance
// of triggers; which scopes a call needs; that an API key has no more than the
// vendor's standard keys; that a token is shown only to who may do as much.
//
// # The files
//
// wire.go has forms, faults and decimals, which both halves use; server.go the
// routes and how every answer is made; account.go finds the account in the path
// and who may ask about it; balance.go, accounts.go, keys.go, usage.go and
// triggers.go are the endpoints; list.go is parameters and pages; callbacks.go
// tells that a trigger has fired; flights.go counts what is being answered;
// client.go is the other half.
package twilio
