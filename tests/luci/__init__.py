"""The pages in LuCI, in a real browser."""
