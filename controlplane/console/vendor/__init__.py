"""Libraries from npm with their hashes; made by tools/vendor_console.py."""
