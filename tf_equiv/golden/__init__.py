"""The file that holds a recorded TF1 side."""
