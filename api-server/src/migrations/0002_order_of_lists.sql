-- Lists by time, and the time of a kind's last row (store/tenant.rs).
CREATE INDEX namespaces_created ON namespaces (created, id);
CREATE INDEX functions_created ON functions (created, id);
