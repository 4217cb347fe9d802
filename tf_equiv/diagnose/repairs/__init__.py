"""Every place where two sides part, and what makes them agree there."""
