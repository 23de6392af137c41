"""Splitting: divide labelled users into parts that share neither users nor images."""
