"""The broker and its keys: who may connect, written and changed without a restart."""
