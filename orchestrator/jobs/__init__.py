"""Jobs on disk: identity, files and their owners, the journal and its fold, the state table."""
