"""Where the TF1 side of a test case runs."""
