"""The run folders below a folder: which there are, in what state, and how they scored."""
