"""Answers for programs under `/api/v1`; docs/openapi.json is written from this room."""
