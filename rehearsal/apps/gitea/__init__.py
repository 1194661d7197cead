"""A stand-in for Gitea 1.25: what the suite reads of its REST API, and its token endpoint for registries."""
