"""Files on a disk or in an object store: finding, reading, writing and protecting them."""
