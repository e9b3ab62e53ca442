"""Where facts and files live: the database, the object store, manifests, signatures, the audit log."""
