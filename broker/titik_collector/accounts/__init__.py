"""Who may look at the page, and who may change something: users, sessions, tokens, audit."""
