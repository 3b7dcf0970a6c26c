-- Of PostgreSQL itself only. Rows that change all the time get room beside them,
-- so that a change needs no index; what is written once is not compressed on the
-- way.
ALTER TABLE saldo.heads SET (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
ALTER TABLE saldo.accounts SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE saldo.holds SET (fillfactor = 80);
ALTER TABLE saldo.usage SET (fillfactor = 70);
ALTER TABLE saldo.journal ALTER COLUMN events SET STORAGE EXTERNAL;
ALTER TABLE saldo.statements ALTER COLUMN seqs SET STORAGE EXTERNAL;
