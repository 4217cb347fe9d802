"""The program that runs the TF1 side in a different interpreter."""
