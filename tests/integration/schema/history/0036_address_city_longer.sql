ALTER TABLE addresses ALTER COLUMN city TYPE varchar(200);
