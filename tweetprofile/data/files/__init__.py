"""Files on a disk or in an object store: found, read, written whole, and protected."""
