"""WebSockets: one trio task, one nested epoll, one small object a connection."""
