"""Documents, schema and environment files, generated from the declarations so that they cannot drift."""
