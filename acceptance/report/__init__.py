"""Renderings of the run record; none of them judges."""
