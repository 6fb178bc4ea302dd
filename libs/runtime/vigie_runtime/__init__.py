"""What every Vigie service stands on.

`settings`, `logging`, `tracing`, `metrics`, `clients`, `topics` start a service; `lifespan` and `health` keep it;
`publisher` and `catalogue` bring samples in, `logreader` and `deadletters` read them.
"""
