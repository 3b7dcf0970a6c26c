// Package watch reads the balances that others keep for us, remembers them, says
// how long they last, and tells whoever has to know, once.
//
// What always holds: a vendor is asked by one node at a time; a reading that was
// taken is not lost; what is not known is not shown as zero; a rule fires once
// for each crossing and resolves once, whatever stops in between, because the
// alert is written in the command that notes the crossing; no alert is forgotten
// until it was delivered or has failed for three days, and then it is kept.
//
// # Words
//
//	source     a balance at a vendor, and how it is asked
//	reading    what the vendor answered, and when
//	point      a reading as history keeps it: the balance, and the sums of all
//	           falls and rises until then
//	time left  how long the balance lasts, from what was consumed: an interval
//	rule       what has to be true of a source or an account for somebody to know
//	level      warning or critical: each has a threshold of its own
//	crossing   one passage of a threshold to the bad side; it fires once, and
//	           what has fired resolves once
//	endpoint   where alerts go: a webhook, an Alertmanager, a chat, a mailbox
//	delivery   an alert on its way to an endpoint
//	claim      the right of a node to poll a source or to deliver, for a while
//
// Everything is records of the operator's book (see package ledger), so it is as
// durable as the money. The files: source.go and the readers that no dialect
// has (deepseek.go, openrouter.go, generic.go); configure.go has sources and
// rules come and go, look.go shows them; history.go and forecast.go; poller.go;
// rule.go has the rules as functions of values, follow.go applies them to
// accounts, consumption.go reads how fast these are used; deliver.go sends.
// records.go draws what is stored.
package watch
