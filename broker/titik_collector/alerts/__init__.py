"""Who must get which message, and when: pure functions over live facts, without store or clock.

Rule: a condition is true, false or not known. What is not known changes nothing.
Rule: only what is live raises, resolves or changes an alert; what comes late adds a note.
Rule: what suppresses a message never suppresses an alert, its history or its end.
"""
