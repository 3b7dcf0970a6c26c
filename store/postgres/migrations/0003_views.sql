-- Read models for people with SQL. Amounts are in their unit; times are times.
-- Give a reporting role USAGE on the schema and SELECT on these views alone.

CREATE VIEW saldo.report_accounts AS
SELECT a.id, a.parent, a.tenant, a.book, u.code AS unit,
	CASE a.mode WHEN 1 THEN 'own' WHEN 2 THEN 'drawing' ELSE 'system' END AS mode,
	CASE a.status WHEN 0 THEN 'open' WHEN 1 THEN 'frozen' ELSE 'closed' END AS status,
	to_timestamp(a.created / 1000000.0) AS created_at, to_timestamp(a.updated / 1000000.0) AS updated_at
FROM saldo.accounts a JOIN saldo.units u ON u.book = a.book AND u.unit = a.unit;

-- Of drawing accounts posted is minus what they have spent of their payer's money,
-- and cap what they may. held counts holds until their end is written down, which
-- is when somebody next looks at the book.
CREATE VIEW saldo.report_balances AS
SELECT a.id, a.tenant, a.book, u.code AS unit,
	a.posted * ('1e-' || u.scale)::numeric AS posted,
	a.held * ('1e-' || u.scale)::numeric AS held,
	(a.posted - a.held) * ('1e-' || u.scale)::numeric AS available,
	a.credit * ('1e-' || u.scale)::numeric AS credit_limit,
	CASE WHEN a.mode = 1 THEN (a.posted - a.held + a.credit) * ('1e-' || u.scale)::numeric END AS spendable,
	a.cap * ('1e-' || u.scale)::numeric AS cap,
	a.seq, to_timestamp(a.updated / 1000000.0) AS updated_at
FROM saldo.accounts a JOIN saldo.units u ON u.book = a.book AND u.unit = a.unit;

CREATE VIEW saldo.report_holds AS
SELECT h.ref, h.id, h.tenant, h.book, h.account, h.via, u.code AS unit,
	h.amount * ('1e-' || u.scale)::numeric AS amount,
	h.remaining * ('1e-' || u.scale)::numeric AS remaining,
	h.captured * ('1e-' || u.scale)::numeric AS captured,
	CASE h.state WHEN 1 THEN 'open' WHEN 2 THEN 'captured' WHEN 3 THEN 'released' ELSE 'expired' END AS state,
	CASE WHEN h.expires <> 0 THEN to_timestamp(h.expires / 1000000.0) END AS expires_at,
	to_timestamp(h.created / 1000000.0) AS created_at, to_timestamp(h.updated / 1000000.0) AS updated_at
FROM saldo.holds h
JOIN saldo.accounts a ON a.id = h.account
JOIN saldo.units u ON u.book = a.book AND u.unit = a.unit;

-- What was used, by account, category ('': all) and day.
CREATE VIEW saldo.report_usage AS
SELECT g.account, g.below AS by_accounts_below, u.code AS unit, encode(g.category, 'escape') AS category,
	to_timestamp(g.day * 86400.0) AS day, g.price * ('1e-' || u.scale)::numeric AS price, g.count, encode(g.what, 'escape') AS counted
FROM saldo.usage g
JOIN saldo.accounts a ON a.id = g.account
JOIN saldo.units u ON u.book = a.book AND u.unit = g.unit;
