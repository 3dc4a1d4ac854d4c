"""The scenarios that come with the wrapper: one JSON file each, read by `wrapper/script.py`."""
