"""What answers look like: pydantic models that describe every field for OpenAPI, and that tests hold the answers to."""
