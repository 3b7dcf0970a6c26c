// Package auth says which credential opens which account: it issues, imports,
// checks, rotates and revokes credentials, and keeps the directory of the ids
// that vendors' clients already use.
//
// What always holds: a credential opens a subtree of accounts, a tenant or, for
// operators, everything, in stated dialects with stated scopes. Credentials and
// directory entries are records of the operator's book, and every check reads
// the record, so a revoked credential fails the very next time. A secret is
// shown once, when it is made, and is never logged. What must sign or be shown
// again by its dialect is sealed under a master key; the rest is kept as a
// keyed digest. Failures are throttled by key and address, and a right
// credential passes all the same.
//
// # Words
//
//	secret      what proves a credential: a token, a key, a password
//	key id      what names it beside the secret, where the dialect has such a
//	            thing: AKIA…, AC…, SK…, a UUID
//	dialect     whose words a client speaks; see [Dialects]
//	scope       what may be done: read, charge, topup, admin, operator
//	root        the account whose subtree a credential opens
//	master key  what seals secrets; it is never in the store
//	directory   ids of other systems, and the accounts that they mean here
package auth
