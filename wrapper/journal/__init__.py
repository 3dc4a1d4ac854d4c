"""What the wrapper must not forget: promises, messages, commands, approvals and the configuration, in
SQLite.
"""
