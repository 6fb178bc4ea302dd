"""Live: WebSocket, Socket.IO and server-sent events over one hub. Transports are its clients, channels its content."""
