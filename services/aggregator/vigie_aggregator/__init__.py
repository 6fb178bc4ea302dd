"""Samples to windows in MongoDB, exactly once; latest values and a live feed to Redis; reports stored and counted.

`app` puts it together, a folder per topic: `samples` (a log reader) and what `consumers` names. In each, `consumer`
says what is read of Kafka, `reading` judges records, and pure modules are named after what they decide.
"""
