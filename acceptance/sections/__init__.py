"""Sections of the target file, one module for each topic; `acceptance.target` puts them together."""
