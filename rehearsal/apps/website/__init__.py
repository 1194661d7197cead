"""The marketing website's stand-in; what each of its variables does is the deployment plan's."""
