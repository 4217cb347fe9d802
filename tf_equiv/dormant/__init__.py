"""After a pass: the search for what the compared inputs did not awake."""
