"""The public page: suppressed figures as plain files, for any web server; nothing else leaves."""
