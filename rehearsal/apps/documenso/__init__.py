"""Documenso's stand-in: v1.13.1, v2.0.0 and v2.11.0; docs/documenso-stand-in.md says where it differs."""
