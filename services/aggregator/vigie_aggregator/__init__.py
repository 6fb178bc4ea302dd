"""Samples to windows in MongoDB, exactly once; latest values and a live feed to Redis.

`app` puts it together; `subscribers` takes records, `reading` judges them, `partition` is what is known of a partition,
`commit` turns what is pending into one transaction, `repository` is MongoDB, `view` is Redis. Pure: `intake`, `keys`,
`rowmap`, `pending`, `basis`, `latest`, `progress`, `schedule`, `live`.
"""
