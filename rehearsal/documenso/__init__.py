"""Documenso's data as a rehearsal needs it: schema, migrations, documents, PDFs and seals."""
