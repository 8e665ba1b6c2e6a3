-- What a key is for, in its maker's words.
ALTER TABLE api_keys ADD COLUMN name TEXT;
