"""What is counted of the partitions of the samples log: `checkpoint` (how far), `document` (its shape), `owners`.

`store` moves it, in one transaction with the windows, latest values and request keys that it stands for.
"""
