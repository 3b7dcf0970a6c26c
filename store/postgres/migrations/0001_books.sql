-- The books: journal, state, and the indexes that serve lists. Only SQL that
-- PostgreSQL, CockroachDB, YugabyteDB and Citus share.
--
-- Times are microseconds since 1970 in UTC, 0 for none or never. Amounts are
-- whole steps of their unit. What the numbers of mode, status and state mean
-- stands in the views of a later migration.

-- The end of each book's journal: the one row that appends wait for.
CREATE TABLE saldo.heads (
	book   bigint PRIMARY KEY,
	tenant bigint NOT NULL,
	seq    bigint NOT NULL,
	time   bigint NOT NULL,
	hash   bytea  NOT NULL
);

CREATE TABLE saldo.units (
	book  bigint   NOT NULL,
	unit  bigint   NOT NULL,
	code  text     NOT NULL,
	scale smallint NOT NULL,
	kind  smallint NOT NULL,
	PRIMARY KEY (book, unit)
);

-- A block of consecutive events: of each its length (LEB128) and its encoding.
-- seq and time are the last event's, n is how many there are.
CREATE TABLE saldo.journal (
	book   bigint  NOT NULL,
	seq    bigint  NOT NULL,
	n      integer NOT NULL,
	time   bigint  NOT NULL,
	events bytea   NOT NULL,
	PRIMARY KEY (book, seq)
);
CREATE INDEX journal_time ON saldo.journal (book, time, seq);

-- Where an id was used. ref is of tenant and id, so that one is used once.
CREATE TABLE saldo.ids (
	ref  uuid    PRIMARY KEY,
	book bigint  NOT NULL,
	seq  bigint  NOT NULL,
	n    bigint  NOT NULL
);

CREATE TABLE saldo.accounts (
	id          uuid     PRIMARY KEY,
	parent      uuid,
	tenant      bigint   NOT NULL,
	book        bigint   NOT NULL,
	unit        bigint   NOT NULL,
	mode        smallint NOT NULL,
	status      smallint NOT NULL,
	depth       smallint NOT NULL,
	posted      numeric  NOT NULL,
	held        numeric  NOT NULL,
	credit      numeric  NOT NULL,
	cap         numeric,
	children    bigint   NOT NULL,
	open_holds  bigint   NOT NULL,
	created     bigint   NOT NULL,
	updated     bigint   NOT NULL,
	seq         bigint   NOT NULL,
	version     bigint   NOT NULL,
	erased      bigint   NOT NULL,
	profile_seq bigint   NOT NULL,
	profile_n   bigint   NOT NULL
);
CREATE INDEX accounts_tenant ON saldo.accounts (tenant, id);
CREATE INDEX accounts_parent ON saldo.accounts (parent, id);

CREATE TABLE saldo.holds (
	ref       uuid     PRIMARY KEY,
	id        text     NOT NULL,
	tenant    bigint   NOT NULL,
	book      bigint   NOT NULL,
	account   uuid     NOT NULL,
	via       uuid,
	owner     uuid     NOT NULL,
	amount    numeric  NOT NULL,
	remaining numeric  NOT NULL,
	captured  numeric  NOT NULL,
	expires   bigint   NOT NULL,
	state     smallint NOT NULL,
	created   bigint   NOT NULL,
	updated   bigint   NOT NULL,
	seq       bigint   NOT NULL,
	opened    bigint   NOT NULL,
	text_seq  bigint   NOT NULL,
	text_n    bigint   NOT NULL
);
CREATE INDEX holds_owner ON saldo.holds (owner, opened, ref);
CREATE INDEX holds_open ON saldo.holds (owner, opened, ref) WHERE state = 1;
CREATE INDEX holds_due ON saldo.holds (expires, book, ref) WHERE state = 1 AND expires <> 0;

-- Kinds, keys and values sort by their bytes, whatever language they are in.
CREATE TABLE saldo.records (
	book     bigint NOT NULL,
	kind     bytea  NOT NULL,
	key      bytea  NOT NULL,
	data     bytea,
	text_seq bigint NOT NULL,
	text_n   bigint NOT NULL,
	version  bigint NOT NULL,
	seq      bigint NOT NULL,
	created  bigint NOT NULL,
	updated  bigint NOT NULL,
	deadline bigint NOT NULL,
	entries  bytea  NOT NULL,
	counters bytea  NOT NULL,
	PRIMARY KEY (book, kind, key)
);
CREATE INDEX records_due ON saldo.records (deadline, book, kind, key) WHERE deadline <> 0;

CREATE TABLE saldo.entries (
	book  bigint NOT NULL,
	kind  bytea  NOT NULL,
	name  bytea  NOT NULL,
	value bytea  NOT NULL,
	key   bytea  NOT NULL,
	PRIMARY KEY (book, kind, name, value, key)
);

CREATE TABLE saldo.refunds (
	book     bigint  NOT NULL,
	seq      bigint  NOT NULL,
	n        bigint  NOT NULL,
	refunded numeric NOT NULL,
	PRIMARY KEY (book, seq, n)
);

-- Free text, which stands beside the journal under its salted digest.
CREATE TABLE saldo.texts (
	book bigint NOT NULL,
	seq  bigint NOT NULL,
	n    bigint NOT NULL,
	salt bytea  NOT NULL,
	data bytea  NOT NULL,
	PRIMARY KEY (book, seq, n)
);

-- A piece of a statement: the events of one append that touched an account,
-- the first one's seq and the differences after it (LEB128). seq is the last's.
CREATE TABLE saldo.statements (
	account uuid   NOT NULL,
	seq     bigint NOT NULL,
	seqs    bytea  NOT NULL,
	PRIMARY KEY (account, seq)
);

-- The words that an account can be found by.
CREATE TABLE saldo.words (
	tenant  bigint NOT NULL,
	word    bytea  NOT NULL,
	account uuid   NOT NULL,
	PRIMARY KEY (tenant, word, account)
);
CREATE INDEX words_account ON saldo.words (account, word);

-- Erasures to be carried out: the texts of events up to seq that touched an account.
CREATE TABLE saldo.erasures (
	account uuid   PRIMARY KEY,
	book    bigint NOT NULL,
	seq     bigint NOT NULL
);

-- What an account, or those below it, used in a category ('': all) on a day
-- (counted since 1970). what is what count counts.
CREATE TABLE saldo.usage (
	account  uuid    NOT NULL,
	below    boolean NOT NULL,
	unit     bigint  NOT NULL,
	category bytea   NOT NULL,
	day      integer NOT NULL,
	price    numeric NOT NULL,
	count    numeric NOT NULL,
	what     bytea   NOT NULL,
	mixed    boolean NOT NULL,
	PRIMARY KEY (account, below, unit, category, day)
);
