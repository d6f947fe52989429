"""The result: counts and cycles made tidy rows, what monitors would have shown, and the table's schema and files."""
