// Package mturklegacy is the requester API of Amazon Mechanical Turk before
// 2017, versions 2005-10-01 to 2014-08-15, by query and by SOAP: what programs
// on boto 2, rturk, MTurkR and Amazon's own older SDKs speak. Amazon retired it
// on 2019-06-01.
//
// What always holds: an amount is a Price in US dollars with two decimals,
// rounded toward minus infinity and never negative, the same amount as package
// mturk shows; a signature is over the text that came, never over a text made
// anew from it; a result with <Errors> in it is a refusal, and nothing else has
// one; no entity and no document type is ever read from XML.
//
// # The vendor's contract
//
//	GET  /?Operation=…            and /onca/xml: parameters in the URL
//	POST /                        and /onca/xml: also in a form body
//	POST /, /onca/soap            text/xml: SOAP 1.1, document/literal
//
// Facts and where they are from, read in 2026-11:
//
//   - Parameters, Price, GetAccountBalance: AWS's legacy reference of 2014-08-15
//     and the dated ones from 2005-10-01 on, docs.aws.amazon.com/AWSMechTurk.
//   - SOAP shapes: the WSDL of 2012-03-25. SOAP faults: AWS's form of those
//     years, docs.amazonwebservices.com/AlexaSiteThumbnail/2006-05-15.
//   - SignatureVersion=1, <Errors> whatever the status, float(Amount): the
//     source of boto 2 (boto/auth.py, boto/mturk), whose first releases say
//     Action where later ones say Operation. Service both in the URL and
//     in the body, and a Timestamp with an offset such as +02:00: rturk
//     (lib/rturk/requester.rb).
//   - AWS.NotAuthorized and its status 200: boto/boto#2247, #3565.
//     AWS.BadClaimsSupplied: cloudyr/MTurkR#35. ServiceUnavailable, 503:
//     ryantate/rturk#22, cloudyr/MTurkR#122. PermissionDenied: ryantate/rturk#33.
//     MustRegister: SurveyMan/SurveyMan#86. InsufficientFunds:
//     NRGI/resourcecontracts.org#538.
//   - Operations on HITs, what they take and return: the same references and
//     WSDL. The order of a list's counts by query, what SearchHITs and
//     GetReviewableHITs show without a ResponseGroup: answers of 2011 to 2014 in
//     the tests of goamz/exp/mturk and of rturk, and the samples of the
//     reference. What GetHIT shows: rturk's spec (get_hit_spec.rb).
//   - AWS.MissingParameters, AWS.ParameterOutOfRange and when each is said:
//     the tests of Amazon's own Perl SDK (Net-Amazon-MechanicalTurk, t/), and
//     boto/boto#3056. AWS.InvalidEnumeratedParameter: goamz/goamz#79. "is not
//     valid for the parameter": cloudyr/MTurkR#118. CurrentState in Data: a client
//     that reads it (NRGI/resourcecontracts.org).
//   - Sorting is only relied on for the first hundred entries of a list: the
//     reference of SearchHITs.
//   - What is wrong with the request itself gets a <Response> with status 400
//     and a RequestID, capital D: aws/aws-sdk-ruby#2024 (mechanicalturk.sandbox,
//     2019-04), cloudyr/MTurkR#59 (RequestExpired). Of the other codes there,
//     MissingParameter, InvalidAction, NoSuchVersion and so on, AWS's query APIs
//     of the time have the words; none was captured from this one.
//   - The answer of the retired service: jcjohnson/simple-amt#27.
//   - Not stated anywhere: how far a Timestamp may be off. AWS's other services
//     of the time took 15 minutes (the SOAP page above).
//
// The first version may have counted Amount in cents: its examples write 32
// where later ones write 0.32. Nothing says so, and dollars are sent in all.
//
// # The files
//
// server.go has the list of operations and the way of a request; query.go and
// soap.go read what it asks, tree.go and input.go its parameters, sign.go proves
// who asks. balance.go, hits.go, work.go and lists.go are the operations, which
// call the rules that package mturk has for both APIs; encode.go writes the
// frames, and wsdl.go describes them. wire.go has the versions and the one table
// of faults, which client.go, the other half, reads backwards.
package mturklegacy
