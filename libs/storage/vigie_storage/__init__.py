"""The stored schema: collections, documents, and the readers and writers of both. Nothing else names a collection."""
