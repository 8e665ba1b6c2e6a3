-- `seen`: what an upload was when it was looked at last, where uploads end without the server's doing.
ALTER TABLE uploads ADD COLUMN seen TEXT;
