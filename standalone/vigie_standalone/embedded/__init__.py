"""Real Kafka, MongoDB and Redis started as child processes: the same code for `vigie up` and for the tests.

`servers.Servers` is the entry; the other modules each know one server.
"""
