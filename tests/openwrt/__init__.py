"""The router's packages, on a root directory as bare as a router's."""
