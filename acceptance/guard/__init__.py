"""Deny by default: everything the suite may do to a target is declared here."""
