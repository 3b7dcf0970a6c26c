-- Transfers for people with SQL, on PostgreSQL itself only. They stand in the
-- journal alone, encoded (docs/format.md): the view decodes what it is asked for,
-- and writing costs nothing. Only what comes before the transfers of an event,
-- and these, are read.

-- The number that b has at p (LEB128), and where it ends.
CREATE FUNCTION saldo.read_n(b bytea, INOUT p integer, OUT v numeric) LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
	c integer := get_byte(b, p);
	low bigint := c & 127;
	bits integer := 7;
	weight numeric;
BEGIN
	p := p + 1;
	WHILE c > 127 AND bits < 56 LOOP
		c := get_byte(b, p);
		low := low | ((c & 127)::bigint << bits);
		bits := bits + 7;
		p := p + 1;
	END LOOP;
	v := low;
	weight := 72057594037927936; -- 2^56: what is longer is rare
	WHILE c > 127 LOOP
		c := get_byte(b, p);
		v := v + (c & 127) * weight;
		weight := weight * 128;
		p := p + 1;
	END LOOP;
END $$;

-- The amount that b has at p (zigzag LEB128), and where it ends.
CREATE FUNCTION saldo.read_v(b bytea, INOUT p integer, OUT v numeric) LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
	odd boolean := get_byte(b, p) & 1 = 1;
	r record;
BEGIN
	r := saldo.read_n(b, p);
	p := r.p;
	v := CASE WHEN odd THEN -div(r.v + 1, 2) ELSE div(r.v, 2) END;
END $$;

-- The transfers of a block of a journal.
CREATE FUNCTION saldo.transfers_of(book bigint, b bytea) RETURNS TABLE (
	seq bigint, n integer, id text, created_at timestamptz, kind text, from_account uuid, to_account uuid, via uuid, steps numeric, asked numeric,
	forced boolean, hold uuid, of_seq bigint, of_n integer, category text, count numeric, counted text)
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
	p integer := 0;  -- where we are
	stop integer;    -- where the event ends
	r record;
	event text;      -- its id
	code integer;
	sections integer;
	entries integer;
	transfers integer;
	flags integer;
	kinds integer;
	touched uuid[];
	many boolean;    -- the event's id alone names none of the transfers
	own text;
	length integer;
BEGIN
	WHILE p < octet_length(b) LOOP
		r := saldo.read_n(b, p);
		p := r.p;
		stop := p + r.v::integer;
		IF get_byte(b, p) <> 1 THEN
			RAISE EXCEPTION 'an event of version % cannot be read by this view', get_byte(b, p);
		END IF;
		r := saldo.read_n(b, p + 1);
		seq := r.v;
		r := saldo.read_n(b, r.p);
		created_at := timestamptz 'epoch' + r.v::bigint * interval '1 microsecond';
		r := saldo.read_n(b, r.p); -- actor
		r := saldo.read_n(b, r.p);
		p := r.p + r.v::integer;
		event := convert_from(substr(b, r.p + 1, r.v::integer), 'UTF8');
		IF event <> '' THEN
			p := p + 16; -- fingerprint
		END IF;
		code := get_byte(b, p);
		sections := 0;
		IF code = 0 THEN
			r := saldo.read_n(b, p + 1);
			p := r.p;
			sections := r.v;
		END IF;
		IF sections & 32 = 0 THEN -- there are no transfers
			p := stop;
			CONTINUE;
		END IF;
		IF sections & 1 <> 0 THEN -- tenant
			r := saldo.read_n(b, p);
			p := r.p;
		END IF;
		IF sections & 2 <> 0 THEN -- units
			r := saldo.read_n(b, p);
			p := r.p;
			entries := r.v;
			FOR i IN 1..entries LOOP
				r := saldo.read_n(b, p);
				p := r.p + r.v::integer + 2;
			END LOOP;
		END IF;
		r := saldo.read_n(b, p); -- touched: where there are transfers there are some
		p := r.p;
		entries := r.v;
		touched := ARRAY[]::uuid[];
		FOR i IN 1..entries LOOP
			flags := get_byte(b, p);
			IF flags & 1 <> 0 THEN -- a system account: its id has book, unit and role
				r := saldo.read_n(b, p + 2);
				touched := touched || encode(int8send(book) || int8send(r.v::bigint << 32 | get_byte(b, p + 1)), 'hex')::uuid;
				p := r.p;
			ELSE
				touched := touched || encode(substr(b, p + 2, 16), 'hex')::uuid;
				p := p + 17;
			END IF;
			FOR k IN 1..1 + (flags & 2) / 2 + (flags & 4) / 4 LOOP -- posted, held, limit
				r := saldo.read_n(b, p);
				p := r.p;
			END LOOP;
		END LOOP;
		IF sections & 8 <> 0 THEN -- opened
			r := saldo.read_n(b, p);
			p := r.p;
			entries := r.v;
			FOR i IN 1..entries LOOP
				r := saldo.read_n(b, p);
				flags := get_byte(b, r.p);
				r := saldo.read_n(b, r.p + 2);
				p := r.p + 16 * (flags & 1);
				IF flags & 2 <> 0 THEN
					r := saldo.read_n(b, p);
					p := r.p;
				END IF;
			END LOOP;
		END IF;
		IF sections & 16 <> 0 THEN -- set
			r := saldo.read_n(b, p);
			p := r.p;
			entries := r.v;
			FOR i IN 1..entries LOOP
				r := saldo.read_n(b, p);
				flags := get_byte(b, r.p);
				p := r.p + 1 + (flags & 1);
				FOR k IN 1..(flags & 16) / 16 + (flags & 32) / 32 LOOP
					r := saldo.read_n(b, p);
					p := r.p;
				END LOOP;
			END LOOP;
		END IF;
		r := saldo.read_n(b, p);
		p := r.p;
		transfers := r.v;
		many := transfers > 1 AND get_byte(b, p + 1) & 15 = 3;
		FOR i IN 0..transfers - 1 LOOP
			n := i;
			flags := get_byte(b, p);
			kinds := get_byte(b, p + 1);
			kind := (ARRAY['topup', 'charge', 'capture', 'refund', 'adjustment', 'move'])[kinds & 15];
			r := saldo.read_n(b, p + 2);
			from_account := touched[r.v::integer + 1];
			r := saldo.read_n(b, r.p);
			to_account := touched[r.v::integer + 1];
			via := NULL;
			IF flags & 1 <> 0 THEN
				r := saldo.read_n(b, r.p);
				via := touched[r.v::integer + 1];
			END IF;
			r := saldo.read_v(b, r.p);
			steps := r.v;
			asked := NULL;
			IF flags & 2 <> 0 THEN
				r := saldo.read_v(b, r.p);
				asked := r.v;
			END IF;
			forced := flags & 4 <> 0;
			p := r.p;
			own := '';
			IF flags & 8 <> 0 THEN
				r := saldo.read_n(b, p);
				own := convert_from(substr(b, r.p + 1, r.v::integer), 'UTF8');
				p := r.p + r.v::integer;
			END IF;
			id := CASE WHEN own <> '' THEN own WHEN event = '' THEN NULL WHEN i = 0 AND NOT many THEN event ELSE event || '#' || i END;
			of_seq := NULL;
			of_n := NULL;
			IF flags & 16 <> 0 THEN
				r := saldo.read_n(b, p);
				of_seq := r.v;
				r := saldo.read_n(b, r.p);
				of_n := r.v;
				p := r.p;
			END IF;
			hold := NULL;
			IF flags & 32 <> 0 THEN
				hold := encode(substr(b, p + 1, 16), 'hex')::uuid;
				p := p + 16;
			END IF;
			category := NULL;
			count := NULL;
			counted := NULL;
			IF flags & 64 <> 0 THEN
				r := saldo.read_n(b, p);
				category := convert_from(substr(b, r.p + 1, r.v::integer), 'UTF8');
				r := saldo.read_v(b, r.p + r.v::integer);
				count := r.v;
				r := saldo.read_n(b, r.p);
				counted := convert_from(substr(b, r.p + 1, r.v::integer), 'UTF8');
				p := r.p + r.v::integer;
			END IF;
			IF flags & 128 <> 0 THEN
				r := saldo.read_n(b, p);
				p := r.p;
			END IF;
			RETURN NEXT;
		END LOOP;
		p := stop;
	END LOOP;
END $$;

-- id names a transfer as the API does; NULL: the server made it by itself, and book,
-- seq and n name it. A refund gives back the transfer of_seq, of_n of its book.
-- written (microseconds since 1970) is when the last event came of those that were
-- written together, not before created_at: where all would be much, a book and a
-- written after something choose what is decoded.
CREATE VIEW saldo.report_transfers AS
SELECT t.id, j.book, h.tenant, t.seq, t.n, t.created_at, t.kind, t.from_account, t.to_account, t.via, u.code AS unit,
	t.steps * ('1e-' || u.scale)::numeric AS amount, t.asked * ('1e-' || u.scale)::numeric AS asked, t.forced,
	t.hold, t.of_seq, t.of_n, t.category, t.count, t.counted, j.time AS written
FROM saldo.journal j
JOIN saldo.heads h ON h.book = j.book
CROSS JOIN LATERAL saldo.transfers_of(j.book, j.events) t
JOIN saldo.accounts a ON a.id = t.from_account
JOIN saldo.units u ON u.book = j.book AND u.unit = a.unit;
