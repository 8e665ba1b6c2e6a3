-- Pages of one namespace's functions or containers are found in the index alone (store/tenant.rs).
CREATE INDEX applications_order ON applications (namespace_id, kind, created, id);
