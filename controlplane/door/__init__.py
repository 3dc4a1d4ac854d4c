"""The front door: one port, where sockets go to the poller and everything else to a guarded HTTP server."""
