"""The transport of Socket.IO clients: those of the metrics service that Vigie replaces go on unchanged."""
