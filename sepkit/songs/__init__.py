"""Songs and stems as files, and the separator of the Python API."""
