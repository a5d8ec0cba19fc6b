INSERT INTO settings (key, value) VALUES ('shop', '{"open": true}');
