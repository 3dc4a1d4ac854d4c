"""The documentation page's own files, served as they are."""
