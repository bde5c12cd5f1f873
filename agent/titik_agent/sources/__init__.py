"""Where a sample's sections come from; one file per source.

Rule: fetching and parsing are apart; parsing is pure.
Rule: a partial read is a failed read (SourceError), never a smaller number.
Rule: every read ends within a second or so by its own deadline.
"""
